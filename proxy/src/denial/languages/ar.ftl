# Arabic.

headline-here = لا يمكنك فتح ⟨«{ $app }»⟩ من هنا الآن
headline-here-nameless = لا يمكنك فتح هذه الصفحة من هنا الآن
headline-now = لا يمكنك فتح ⟨«{ $app }»⟩ الآن
headline-now-nameless = لا يمكنك فتح هذه الصفحة الآن
headline-account = لا يمكنك فتح ⟨«{ $app }»⟩ بهذا الحساب
headline-account-nameless = لا يمكنك فتح هذه الصفحة بهذا الحساب
headline-again = سجِّل الدخول مرة أخرى لفتح ⟨«{ $app }»⟩
headline-again-nameless = سجِّل الدخول مرة أخرى لفتح هذه الصفحة
headline-closed = الوصول إلى ⟨«{ $app }»⟩ مغلق في هذا الوقت
headline-down = يتعذر فتح ⟨«{ $app }»⟩ في الوقت الحالي
headline-down-nameless = يتعذر فتح هذه الصفحة في الوقت الحالي
headline-open = يمكنك فتح ⟨«{ $app }»⟩ الآن
headline-open-nameless = يمكنك فتح هذه الصفحة الآن
headline-sign-in = سجِّل الدخول للمتابعة
headline-sign-in-again = سجِّل الدخول مرة أخرى للمتابعة
headline-bad-request = لا يمكن قبول هذا الطلب
headline-no-app = لا يوجد شيء في هذا العنوان
headline-too-large = حجم التحميل كبير جدًا
headline-too-slow = التحميل بطيء جدًا
headline-limited = عدد الطلبات كبير جدًا
headline-fault = حدث خطأ من جانبنا

kind-rule = قاعدة من قواعد مؤسستك، وليست عطلاً
kind-step = خطوة أخرى مطلوبة
kind-us = عطل من جانبنا، وليس قرارًا
kind-limit = حدّ لعدد الطلبات، وليس عطلاً
kind-open = لم يعد هناك ما يمنع الوصول

signed-in-as = الحساب المستخدم: { $user }.
lead-criteria = تم تسجيل دخولك بنجاح، لكنه لا يستوفي معايير الوصول إلى هذا المورد.
lead-password = المشكلة ليست في كلمة المرور.
lead-not-assigned = تم تسجيل دخولك بنجاح، لكن هذا الحساب غير معيَّن للتطبيق.
lead-stronger = تم تسجيل دخولك بنجاح، لكن هذا التطبيق يتطلب طريقة أقوى.
lead-too-old = تم تسجيل دخولك بنجاح، لكن مضى عليه وقت أطول مما يسمح به هذا التطبيق.
lead-step-open = تم تسجيل دخولك بنجاح، لكن لا تزال هناك خطوة لم تكتمل.
lead-down = تعذّر التحقق من طلبك لأن خدمة لازمة لا تستجيب. يزول ذلك عادةً من تلقاء نفسه.
lead-app-down = سُمح لك بالوصول، لكن التطبيق لم يستجب. يزول ذلك عادةً من تلقاء نفسه.
lead-maintenance = تجري صيانة هذا التطبيق حاليًا. وصولك مسموح به، ولا يلزمك فعل أي شيء.
lead-maintenance-public = تجري صيانة هذا التطبيق حاليًا. لا يلزمك فعل أي شيء.
lead-no-fault-of-yours = ليس السبب من جانبك.
lead-groups-missing = تم تسجيل دخولك بنجاح، لكن خدمة تسجيل الدخول لم تذكر المجموعات التي تنتمي إليها، وهذه المعلومة لازمة لاتخاذ القرار.
lead-certificate-none = تم تسجيل دخولك بنجاح، لكن هذا التطبيق يتطلب أيضًا شهادة عميل، ولم يقدّم متصفحك أي شهادة.
lead-certificate-other = تم تسجيل دخولك بنجاح، لكن هذا التطبيق لا يقبل شهادة العميل التي قدّمها متصفحك.
lead-certificate-withdrawn = تم تسجيل دخولك بنجاح، لكن شهادة العميل الخاصة بك أُبطلت.
lead-certificate-out-of-time = تم تسجيل دخولك بنجاح، لكن شهادة العميل الخاصة بك غير صالحة في هذا الوقت.
lead-sign-in = هذا العنوان مخصص لمن سجّلوا الدخول.
lead-sign-in-again = انتهت صلاحية تسجيل دخولك أو لا يمكن استخدامه هنا.
lead-come-back = ستعود إلى هنا بعد ذلك.
lead-bad-request = الطلب غير مكتمل أو غير واضح.
lead-misdirected = وصل الطلب عبر اتصال مفتوح لعنوان آخر. أعد تحميل الصفحة.
lead-no-app = تحقق من خلو العنوان من الأخطاء الإملائية.
lead-too-large = يتجاوز الحجم المقبول هنا.
lead-too-slow = كانت البيانات الواردة قليلة جدًا، فأُوقف التحميل.
lead-limited-tokens = وردت من عنوان IP الخاص بك عمليات تسجيل دخول غير صالحة كثيرة جدًا، لذلك لم يتم التحقق من تسجيل دخولك.
lead-limited-address = وردت من عنوان IP الخاص بك طلبات أكثر مما يقبله هذا التطبيق في تلك المدة.
lead-limited-principal = وردت من حسابك طلبات أكثر مما يقبله هذا التطبيق في تلك المدة.
lead-refused-again = { $count ->
    [one] تم الرفض مرة واحدة
    [two] تم الرفض مرتين
    [few] تم الرفض { $count } مرات
    [many] تم الرفض { $count } مرة
   *[other] تم الرفض { $count } مرة
} خلال آخر { $window ->
    [one] دقيقة
    [two] دقيقتين
    [few] { $window } دقائق
    [many] { $window } دقيقة
   *[other] { $window } دقيقة
}؛ ولن تغيّر إعادة المحاولة النتيجة.
lead-refused-often = { $count ->
    [one] تم الرفض أكثر من مرة واحدة
    [two] تم الرفض أكثر من مرتين
    [few] تم الرفض أكثر من { $count } مرات
    [many] تم الرفض أكثر من { $count } مرة
   *[other] تم الرفض أكثر من { $count } مرة
} خلال آخر { $window ->
    [one] دقيقة
    [two] دقيقتين
    [few] { $window } دقائق
    [many] { $window } دقيقة
   *[other] { $window } دقيقة
}؛ ولن تغيّر إعادة المحاولة النتيجة.

heading-remedies = ما يمكنك فعله
heading-none-found = لم نجد تغييرًا من جانبك يتيح الوصول
heading-administrator = لا يمكن إلا للمسؤول تغيير ذلك
heading-help-desk = يمكن لمكتب المساعدة إخبارك بالمزيد
heading-waiting = في انتظار زوال العطل
heading-maintenance = بانتظار انتهاء الصيانة
heading-limited = يزول ذلك من تلقاء نفسه
heading-later = موعد إعادة الفتح: { $time }
heading-done = تم
heading-reasons = المعايير غير المستوفاة
heading-operator = من مؤسستك
heading-desk = لمكتب المساعدة
heading-details = التفاصيل
note-steps = { $steps ->
    [one] خطوة واحدة مطلوبة. إعادة التثبيت أو مسح ذاكرة التخزين المؤقت لا يغيّر شيئًا.
    [two] الخطوتان مطلوبتان معًا. إعادة التثبيت أو مسح ذاكرة التخزين المؤقت لا يغيّر شيئًا.
    [few] الخطوات { $steps } كلها مطلوبة. إعادة التثبيت أو مسح ذاكرة التخزين المؤقت لا يغيّر شيئًا.
   *[other] الخطوات { $steps } كلها مطلوبة. إعادة التثبيت أو مسح ذاكرة التخزين المؤقت لا يغيّر شيئًا.
}
note-alternatives = يكفي أحد هذه الخيارات.
note-or = أو
note-none-found = يمكن لمكتب المساعدة البحث أكثر. زوِّده بهذا الرقم المرجعي.
note-administrator = لن يتيح أي تغيير يمكنك إجراؤه هنا الوصول. زوِّد مكتب المساعدة بهذا الرقم المرجعي.
note-groups = يجب إعداد خدمة تسجيل الدخول بحيث تذكر مجموعاتك. زوِّد مكتب المساعدة بهذا الرقم المرجعي.
note-not-provable = لا تذكر خدمة تسجيل الدخول كيف سجّلت دخولك. زوِّد مكتب المساعدة بهذا الرقم المرجعي.
note-not-delivered = إذا لم يُحَل الأمر بتسجيل الدخول مرة أخرى، فزوِّد مكتب المساعدة بهذا الرقم المرجعي.
note-help-desk = زوِّده بهذا الرقم المرجعي. لن تغيّر إعادة المحاولة الإجابة.
note-waiting = أعد المحاولة بعد { $minutes ->
    [one] دقيقة
    [two] دقيقتين
    [few] { $minutes } دقائق
    [many] { $minutes } دقيقة
   *[other] { $minutes } دقيقة
}، اعتبارًا من { $time }. ليس السبب من جانبك.
note-maintenance = أعد المحاولة بعد { $time }.
note-limited = انتظر قليلاً، ثم أعد المحاولة.
note-later = لن تغيّر إعادة المحاولة قبل ذلك النتيجة.
note-later-no-script = افتح هذا العنوان مرة أخرى في ذلك الوقت.
note-one-more-proof = ستطلب خدمة تسجيل الدخول إثباتًا إضافيًا، مثل مفتاح مرور أو رمز.
note-going = جارٍ نقلك…

step-leave-network = أوقف تشغيل شبكة VPN أو الخادم الوكيل، أو استخدم شبكة أخرى
step-approved-network = اتصل بشبكة مؤسستك أو بشبكة VPN الخاصة بها
step-other-country = اتصل من بلد آخر
step-compliant-device = استخدم جهازًا تديره مؤسستك
step-hybrid-device = استخدم جهازًا منضمًا إلى مجال مؤسستك
step-registered-device = استخدم جهازًا مسجَّلاً لدى مؤسستك
step-other-device = استخدم جهازًا آخر؛ يمكن لمكتب المساعدة إخبارك بأي جهاز
step-update = حدِّث { $platform }
step-update-nameless = حدِّث نظام تشغيل هذا الجهاز
step-approved-app = افتحه في تطبيق تعتمده مؤسستك
step-protected-app = افتحه في تطبيق تحميه مؤسستك
step-stronger = سجِّل الدخول بطريقة أقوى
step-sign-in-again = سجِّل الدخول مرة أخرى
step-password = غيِّر كلمة المرور، ثم سجِّل الدخول مرة أخرى
step-terms = سجِّل الدخول مرة أخرى واقبل شروط الاستخدام
step-external = سجِّل الدخول مرة أخرى وأكمل الخطوة التي تطلبها مؤسستك
step-other-flow = سجِّل الدخول مباشرةً على هذا الجهاز، دون رمز جهاز ودون نقل من جهاز آخر
step-later = عُد لاحقًا: { $time }
step-certificate-choose = أغلق المتصفح وافتحه مرة أخرى، واختر شهادتك عندما يُطلب منك ذلك
step-certificate-other = أغلق المتصفح وافتحه مرة أخرى، واختر شهادة أخرى
step-certificate-new = اطلب شهادة جديدة
step-certificate-renew = جدِّد شهادتك أو اطلب شهادة جديدة

seen-at = عنوان اتصالك { $address }.
seen-at-country = عنوان اتصالك { $address }، { $country } (موقع تقريبي).
seen-country-by-vpn = قد تجعلك شبكة VPN أو الخادم الوكيل تظهر كأنك في بلد آخر.
seen-device-lacking = هذا الجهاز، { $device }، مسجَّل لكنه لا يستوفي المتطلبات.
seen-device-registered = هذا الجهاز، { $device }، مسجَّل.
seen-device-not-shown = لم يقدّم هذا المتصفح هوية للجهاز. استخدم نافذة عادية في متصفح مدعوم.
seen-device-not-shown-by-client = لم تُقدَّم هوية للجهاز مع تسجيل الدخول هذا. استخدم عميلاً يسجّل الدخول بهوية الجهاز.
seen-version = يذكر هذا الجهاز الإصدار { $version }.
seen-signed-in-at = آخر تسجيل دخول: { $time }.

reason-assignment = هذا الحساب غير معيَّن للتطبيق.
reason-location = الشبكة أو المكان الذي تتصل منه.
reason-platform = نظام تشغيل هذا الجهاز أو إصداره.
reason-client-app = نوع البرنامج الذي تستخدمه.
reason-device = الجهاز الذي تستخدمه.
reason-device-compliance = لا يستوفي الجهاز متطلبات مؤسستك.
reason-device-unknown = لم تُقدَّم هوية للجهاز مع الطلب.
reason-device-joined = مؤسستك لا تدير هذا الجهاز.
reason-client-approved = البرنامج ليس من البرامج المعتمدة.
reason-client-protected = مؤسستك لا تحمي هذا البرنامج.
reason-flow = طريقة تسجيل الدخول هذه غير مسموح بها لهذا التطبيق.
reason-policy = قاعدة من قواعد مؤسستك.
reason-groups = لم تذكر خدمة تسجيل الدخول المجموعات التي تنتمي إليها.
reason-authentication = طريقة تسجيل دخولك ليست قوية بما يكفي.
reason-not-provable = لا تذكر خدمة تسجيل الدخول كيف سجّلت دخولك.
reason-session = مضى على تسجيل دخولك وقت طويل جدًا.
reason-password = يجب تغيير كلمة المرور.
reason-interaction = لا تزال هناك خطوة في تسجيل الدخول لم تكتمل.
reason-unavailable = معلومة لازمة لاتخاذ القرار غير متاحة الآن.

live-steps = { $steps ->
    [one] ستفتح هذه الصفحة ⟨«{ $app }»⟩ تلقائيًا عند إكمال خطوة واحدة.
    [two] ستفتح هذه الصفحة ⟨«{ $app }»⟩ تلقائيًا عند إكمال الخطوتين.
    [few] ستفتح هذه الصفحة ⟨«{ $app }»⟩ تلقائيًا عند إكمال الخطوات { $steps } كلها.
   *[other] ستفتح هذه الصفحة ⟨«{ $app }»⟩ تلقائيًا عند إكمال الخطوات { $steps } كلها.
}
live-connected = ستفتح هذه الصفحة ⟨«{ $app }»⟩ تلقائيًا بمجرد اتصالك.
live-done = ستفتح هذه الصفحة ⟨«{ $app }»⟩ تلقائيًا بمجرد إتمام ذلك.
live-one-done = ستفتح هذه الصفحة ⟨«{ $app }»⟩ تلقائيًا بمجرد إتمام أحد هذه الخيارات.
live-changed = ستفتح هذه الصفحة ⟨«{ $app }»⟩ تلقائيًا بمجرد تغيّر ذلك.
live-changed-nameless = ستُفتح هذه الصفحة تلقائيًا بمجرد تغيّر ذلك.
live-elsewhere = هل أتممت ذلك في نافذة أخرى؟ ستفتح هذه الصفحة ⟨«{ $app }»⟩ تلقائيًا.
live-down = تواصل هذه الصفحة المحاولة وستفتح ⟨«{ $app }»⟩ تلقائيًا.
live-down-nameless = تواصل هذه الصفحة المحاولة وستُفتح تلقائيًا.
live-later = يمكنك ترك هذه الصفحة مفتوحة. ستفتح ⟨«{ $app }»⟩ في ذلك الوقت.
live-checked = تم التحقق في { $time }: ليس بعد.
live-watching = تواصل هذه الصفحة التحقق.

action-check-again = التحقق مرة أخرى
action-sign-in = تسجيل الدخول
action-sign-in-again = تسجيل الدخول مرة أخرى
action-report = إبلاغ قسم تكنولوجيا المعلومات
action-use-another-account = استخدام حساب آخر
action-try-again = إعادة المحاولة
action-fix-device = حل مشكلة هذا الجهاز
action-help-desk = الاتصال بمكتب المساعدة
action-open = فتح «{ $app }»
action-open-nameless = فتح الصفحة
action-stay = البقاء في هذه الصفحة
not-you = لست { $user }؟

label-reference = الرقم المرجعي
label-code = رمز الخطأ
label-time = الوقت
label-app = التطبيق
label-request-id = معرّف الطلب
label-correlation-id = معرّف الارتباط
label-app-id = معرّف التطبيق
label-user = الحساب المستخدم
label-address = عنوان IP
label-location = الموقع
label-device-id = معرّف الجهاز
label-platform = نظام تشغيل الجهاز
label-device-state = حالة الجهاز
label-client = العميل
label-decision-by = صاحب القرار
label-reason = السبب
label-user-id = معرّف المستخدم
label-provider = خدمة تسجيل الدخول
label-methods = طريقة تسجيل الدخول
label-auth-time = وقت تسجيل الدخول
label-idle-until = ينتهي عند عدم الاستخدام في
label-until = ينتهي على أبعد تقدير في
label-ticket = نص لتذكرة الدعم (بالإنجليزية)
label-language = اللغة
value-approximate = { $country } (موقع تقريبي)
value-not-available = غير متاح
value-not-shown = لم تُقدَّم
value-registered = مسجَّل
value-compliant = متوافق
value-not-compliant = غير متوافق
value-hybrid-joined = منضم انضمامًا مختلطًا
value-browser = متصفح
value-native-client = تطبيق للأجهزة المحمولة أو عميل سطح المكتب
value-other-client = عميل آخر
desk-say-or-send = اقرأ الرقم المرجعي عبر الهاتف أو أرسله إلى:
desk-say = اذكر الرقم المرجعي عند طلب المساعدة.
copy-details = نسخ التفاصيل
copied-paste = تم النسخ. الصق النص في رسالتك.
details-all = جميع التفاصيل
details-more = تفاصيل إضافية

contact = جهة الاتصال

headline-choose = اختر طريقة تسجيل الدخول
lead-choose = ستعود إلى هنا بعد ذلك. سيُحفظ اختيارك في هذا المتصفح.
headline-sign-in-failed = لم يكتمل تسجيل الدخول
lead-cancelled = أنهت خدمة «{ $provider }» تسجيل الدخول قبل اكتماله. إذا ألغيته بنفسك، فما عليك سوى تسجيل الدخول مرة أخرى.
lead-provider-error = لم تتمكن خدمة «{ $provider }» من إكمال تسجيل الدخول. سجِّل الدخول مرة أخرى؛ وإذا لم يُحَل الأمر، فزوِّد مكتب المساعدة بالرقم المرجعي أدناه.
lead-provider-answer = رد خدمة «{ $provider }» غير مقبول هنا، لذلك لم يُسجَّل الدخول بأي حساب. إذا لم يحل تسجيل الدخول مرة أخرى الأمر، فزوِّد مكتب المساعدة بالرقم المرجعي أدناه.
lead-configuration = الاتصال بخدمة «{ $provider }» غير معدّ بشكل صحيح. لا يمكن إلا للمسؤول تغيير ذلك: زوِّد مكتب المساعدة بالرقم المرجعي أدناه.
lead-unreachable = لم تستجب خدمة «{ $provider }». يزول ذلك عادةً من تلقاء نفسه؛ سجِّل الدخول مرة أخرى بعد دقيقة.
lead-store = تم تسجيل دخولك بنجاح، لكن تعذّر حفظه. يزول ذلك عادةً من تلقاء نفسه؛ سجِّل الدخول مرة أخرى بعد دقيقة.
kind-nobody = لا يوجد أي عطل
kind-provider = من خدمة تسجيل الدخول، وليس من التطبيق
kind-configuration = السبب في الإعدادات، وليس منك
kind-network = عطل في الاتصال بخدمة تسجيل الدخول
provider-says = رسالة من «{ $provider }»
headline-cookies = يتطلب تسجيل الدخول ملفات تعريف الارتباط
lead-cookies = لم يُعِد هذا المتصفح ملف تعريف الارتباط الذي استلمه قبل قليل. اسمح بملفات تعريف الارتباط لهذا العنوان، أو استخدم نافذة عادية، ثم سجِّل الدخول مرة أخرى.
headline-loop = لا يكتمل تسجيل الدخول
lead-loop = تمت إعادة توجيهك عدة مرات إلى «{ $provider }»، وعُدت في كل مرة دون تسجيل دخول يدوم. أُوقفت العملية هنا.
headline-form = لم يُرسَل النموذج
lead-form = كانت صلاحية تسجيل دخولك قد انتهت، لذلك لم يستلم التطبيق شيئًا ولم يُحفظ شيء. سجِّل الدخول في علامة تبويب جديدة، ثم عُد إلى علامة التبويب هذه، وارجع إلى النموذج وأرسله مرة أخرى.
headline-sign-out = هل تريد تسجيل الخروج؟
lead-sign-out = يُنهي تسجيل الخروج جلستك هنا، وكذلك لدى خدمة تسجيل الدخول إذا كانت تدعم ذلك.
headline-signed-out = تم تسجيل خروجك
lead-signed-out = على جهاز مشترك، أغلق أيضًا جميع نوافذ المتصفح.
lead-signed-out-here = لم تستجب خدمة «{ $provider }»، لذلك قد يكون تسجيل دخولك لا يزال قائمًا هناك. سجِّل الخروج هناك أيضًا، أو أغلق جميع نوافذ المتصفح.
headline-reported = تم إبلاغ قسم تكنولوجيا المعلومات
lead-reported = يمكن لمكتب المساعدة العثور على هذا الرفض بالرقم المرجعي { $reference }. لا حاجة إلى إرسال أي شيء آخر.
kind-signed-out = تم تسجيل الخروج هنا
kind-signed-out-everywhere = تم تسجيل الخروج هنا ومن خدمة تسجيل الدخول
headline-me = تسجيل دخولك
lead-me = هذه هي المعلومات المتوفرة هنا عن تسجيل دخولك. قد يطلب منك مكتب المساعدة قراءتها.
headline-stale = لم يعد رابط تسجيل الدخول هذا صالحًا
lead-stale = استُخدم من قبل، أو مضى عليه وقت طويل، أو يخص متصفحًا آخر. سجِّل الدخول مرة أخرى؛ وستصل بعد ذلك إلى الصفحة التي تريدها.
headline-continue = جارٍ نقلك
lead-continue = إذا لم يحدث شيء، فاستخدم الرابط.
lead-not-delivered = سجّلت الدخول مرة أخرى، لكن خدمة تسجيل الدخول لم تنفّذ ما يتطلبه هذا التطبيق.
action-continue = متابعة
action-new-tab = تسجيل الدخول في علامة تبويب جديدة
action-choose = اختيار طريقة أخرى
action-sign-out = تسجيل الخروج
