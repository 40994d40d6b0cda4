# العربية

headline-context = لا يمكنك فتح { $app } من هنا الآن
headline-context-nameless = لا يمكنك فتح هذا التطبيق من هنا الآن
headline-account = لا يمكنك فتح { $app } بهذا الحساب
headline-account-nameless = لا يمكنك فتح هذا التطبيق بهذا الحساب
headline-reauthenticate = سجِّل الدخول مرة أخرى لفتح { $app }
headline-reauthenticate-nameless = سجِّل الدخول مرة أخرى لفتح هذا التطبيق
headline-unavailable = يتعذر فتح { $app } الآن
headline-unavailable-nameless = يتعذر فتح هذا التطبيق الآن
headline-sign-in = سجِّل الدخول للمتابعة
headline-sign-in-again = سجِّل الدخول مرة أخرى للمتابعة
headline-bad-request = لا يمكن قبول هذا الطلب
headline-no-app = لا يوجد شيء في هذا العنوان
headline-too-large = حجم الملف المرفوع كبير جدًا
headline-too-slow = هذا التحميل بطيء جدًا
headline-limited = طلبات كثيرة جدًا
headline-fault = حدث خطأ من جانبنا

signed-in-as = لقد سجَّلت الدخول باسم { $user }.
lead-context = تم تسجيل دخولك بنجاح، لكنه لا يستوفي معايير الوصول إلى هذا المورد. المشكلة ليست في كلمة المرور.
lead-account = تم تسجيل دخولك بنجاح، لكن هذا الحساب غير معيَّن للتطبيق. المشكلة ليست في كلمة المرور.
lead-reauthenticate = تم تسجيل دخولك بنجاح، لكن هذا المورد يتطلب خطوة إضافية.
lead-unavailable = لم يستجب مصدر لازم لاتخاذ القرار. لم ترتكب أي خطأ.
lead-fault = لم ترتكب أي خطأ.
lead-upstream = سُمح لك بالدخول، لكن التطبيق لم يستجب.
lead-groups = تم تسجيل دخولك بنجاح، لكن خدمة تسجيل الدخول لم تذكر المجموعات التي تنتمي إليها، وهذا لازم لاتخاذ القرار. المشكلة ليست في كلمة المرور.
lead-certificate-missing = تم تسجيل دخولك بنجاح، لكن هذا التطبيق يطلب أيضًا شهادة عميل، ولم يقدم متصفحك أي شهادة. أغلق المتصفح وافتحه من جديد واختر شهادتك عندما يطلبها.
lead-certificate-untrusted = تم تسجيل دخولك بنجاح، لكن شهادة العميل التي قدمها متصفحك غير مقبولة في هذا التطبيق. أغلق المتصفح وافتحه من جديد واختر شهادة أخرى.
lead-certificate-revoked = تم تسجيل دخولك بنجاح، لكن شهادة العميل الخاصة بك أُلغيت. تحتاج إلى شهادة جديدة.
lead-certificate-expired = تم تسجيل دخولك بنجاح، لكن شهادة العميل الخاصة بك غير صالحة في الوقت الحالي. جددها أو اطلب شهادة جديدة.
lead-sign-in = هذا العنوان مخصص لمن سجَّلوا الدخول.
lead-sign-in-again = انتهى تسجيل دخولك أو لا يمكن استخدامه هنا.
lead-bad-request = الطلب غير مكتمل، أو يمكن قراءته بأكثر من طريقة.
lead-misdirected = وصل الطلب عبر اتصال فُتح لعنوان آخر. أعد تحميل الصفحة.
lead-no-app = تحقق من خلو العنوان من الأخطاء الإملائية.
lead-too-large = إنه أكبر من الحجم المقبول هنا.
lead-too-slow = وصل منه القليل جدًا فأُوقف.
lead-limited-tokens = وصلت من عنوان شبكتك عمليات تسجيل دخول غير صالحة كثيرة جدًا، لذلك لم يُفحص تسجيل دخولك.
lead-limited-address = وصلت من عنوان شبكتك طلبات أكثر مما يقبله هذا التطبيق في تلك المدة.
lead-limited-principal = وصلت من حسابك طلبات أكثر مما يقبله هذا التطبيق في تلك المدة.

verdict-structural = هذه قاعدة في مؤسستك وليست عطلًا. لن تغيِّرها إعادة المحاولة أو مسح ذاكرة التخزين المؤقت أو إعادة التثبيت.
verdict-groups = لن يغيِّر ذلك الانتظار أو إعادة المحاولة: يجب إعداد خدمة تسجيل الدخول بحيث تذكر مجموعاتك.
verdict-reauthenticate = هذه قاعدة في مؤسستك وليست عطلًا. تسجيل دخول جديد يستوفيها يفتح التطبيق.
verdict-temporary = هذا عطل من جانبنا. يزول عادةً من تلقاء نفسه؛ حاول مرة أخرى بعد { $minutes ->
    [one] دقيقة واحدة
    [two] دقيقتين
    [few] { $minutes } دقائق
   *[other] { $minutes } دقيقة
}.
verdict-limited = سيزول ذلك من تلقاء نفسه: انتظر قليلًا ثم حاول مرة أخرى.
verdict-repeated = رُفض { $count ->
    [two] مرتين
    [few] { $count } مرات
   *[other] { $count } مرة
} خلال { $window ->
    [few] { $window } دقائق
   *[other] { $window } دقيقة
}؛ لن تغيِّر إعادة المحاولة ذلك.
verdict-repeated-often = رُفض أكثر من { $count ->
    [few] { $count } مرات
   *[other] { $count } مرة
} خلال { $window ->
    [few] { $window } دقائق
   *[other] { $window } دقيقة
}؛ لن تغيِّر إعادة المحاولة ذلك.

heading-remedies = ما يمكنك فعله
heading-reasons = ما لم يستوفِ المعايير
heading-operator = من مؤسستك
heading-details = التفاصيل
heading-report = لمكتب المساعدة
report-hint = انسخ هذا النص عند طلب المساعدة. لا يحتوي على اسمك ولا على عنوانك.
actions-label = الإجراءات
languages-label = اللغة
copy = نسخ هذا النص
copied = تم النسخ.

remedy-together = كل ما يلي معًا:
remedy-other-network = اتصل من شبكة معتمدة، أو أوقف تشغيل VPN أو الوكيل (proxy).
seen-at = نراك على العنوان { $address }.
seen-at-country = نراك على العنوان { $address }، { $country } (تقريبي).
remedy-compliant-device = استخدم جهازًا تديره مؤسستك ويستوفي متطلباتها.
remedy-hybrid-device = استخدم جهازًا منضمًا إلى نطاق مؤسستك.
remedy-registered-device = استخدم جهازًا مسجلًا لدى مؤسستك.
device-not-shown = لم يعرض هذا المتصفح هوية جهاز: استخدم نافذة عادية، لا خاصة، في متصفح مدعوم.
device-not-shown-by-client = لم ترد هوية جهاز مع تسجيل الدخول هذا: استخدم برنامجًا يسجِّل الدخول بهوية الجهاز.
device-not-compliant = هذا الجهاز مسجل لكنه لا يستوفي المتطلبات.
device-unregistered = هذا الجهاز غير مسجل.
remedy-update-os = حدِّث نظام تشغيل هذا الجهاز.
remedy-update-named-os = حدِّث { $platform }. يبلغ هذا الجهاز عن الإصدار { $version }.
remedy-later = يمكنك فتح هذا التطبيق مرة أخرى ابتداءً من { $time }.
remedy-desktop-or-mobile = افتحه في تطبيق سطح المكتب أو الهاتف بدلًا من المتصفح.
remedy-stronger = سجِّل الدخول مرة أخرى بطريقة أقوى.
remedy-sign-in-again = سجِّل الدخول مرة أخرى.
remedy-password = غيِّر كلمة المرور، ثم سجِّل الدخول مرة أخرى.
remedy-interaction = سجِّل الدخول مرة أخرى وأكمل الخطوات المطلوبة.
remedy-other-flow = سجِّل الدخول مباشرةً على هذا الجهاز، لا برمز ولا بالنقل من جهاز آخر.
remedy-administrator = لا يمكن تغيير ذلك إلا من قِبل مسؤول.

reason-assignment = هذا الحساب غير معيَّن للتطبيق.
reason-location = الشبكة أو المكان الذي تتصل منه.
reason-platform = نظام تشغيل هذا الجهاز أو إصداره.
reason-client-app = نوع البرنامج الذي تستخدمه.
reason-device = الجهاز الذي تستخدمه.
reason-device-compliance = لا يستوفي الجهاز متطلبات مؤسستك.
reason-device-unknown = لم ترد هوية جهاز مع الطلب.
reason-device-joined = الجهاز غير مُدار من قِبل مؤسستك.
reason-client-approved = البرنامج ليس من البرامج المعتمدة.
reason-client-protected = البرنامج غير محمي من قِبل مؤسستك.
reason-flow = طريقة تسجيل الدخول هذه غير مسموح بها لهذا التطبيق.
reason-policy = قاعدة في مؤسستك.
reason-groups = لم تذكر خدمة تسجيل الدخول المجموعات التي تنتمي إليها.
reason-authentication = طريقة تسجيل دخولك ليست قوية بما يكفي.
reason-not-provable = خدمة تسجيل الدخول لا تُبلِغ عن الطريقة التي سجّلت بها دخولك.
reason-session = مضى على تسجيل دخولك وقت طويل جدًا.
reason-password = يجب تغيير كلمة المرور.
reason-interaction = لا تزال هناك خطوة في تسجيل الدخول لم تكتمل.
reason-unavailable = معلومة لازمة لاتخاذ القرار غير متاحة الآن.

action-sign-in = تسجيل الدخول
action-sign-in-again = تسجيل الدخول مرة أخرى
action-other-account = تسجيل الدخول بحساب آخر
action-try-again = إعادة المحاولة
action-fix-device = إصلاح هذا الجهاز
action-mail = الكتابة إلى { $address }
action-help = فتح صفحة المساعدة

contact = جهة الاتصال

headline-choose = اختر طريقة تسجيل الدخول
lead-choose = ستعود إلى هنا بعد ذلك. سيُحفظ اختيارك في هذا المتصفح.
headline-sign-in-failed = لم يكتمل تسجيل الدخول
lead-cancelled = أنهت «{ $provider }» تسجيل الدخول قبل اكتماله. إذا ألغيته بنفسك، فيكفي أن تسجِّل الدخول مرة أخرى.
lead-provider-error = لم تتمكن «{ $provider }» من إكماله. سجِّل الدخول مرة أخرى؛ وإن لم يُجدِ ذلك، فأعطِ النص أدناه لمكتب المساعدة.
lead-provider-answer = ردّ «{ $provider }» غير مقبول هنا، فلم يُسجَّل دخول أحد. إن لم يُجدِ تسجيل الدخول مرة أخرى، فأعطِ النص أدناه لمكتب المساعدة.
lead-configuration = الاتصال بـ «{ $provider }» غير معدّ كما يجب. لا يستطيع تغيير ذلك إلا المسؤول: أعطِ النص أدناه لمكتب المساعدة.
lead-unreachable = لم تستجب «{ $provider }». يزول ذلك عادةً؛ سجِّل الدخول مرة أخرى بعد دقيقة.
lead-store = نجح تسجيل دخولك لكن تعذّر حفظه. يزول ذلك عادةً؛ سجِّل الدخول مرة أخرى بعد دقيقة.
verdict-nobody = لا يوجد أي عطل
verdict-provider = من خدمة تسجيل الدخول، لا من التطبيق
verdict-configuration = الأمر متعلق بالإعدادات، لا بك
verdict-network = عطل في الاتصال بخدمة تسجيل الدخول
verdict-us = عطل من جانبنا، لا قرار
provider-says = تقول «{ $provider }»
headline-cookies = يحتاج تسجيل الدخول إلى ملفات تعريف الارتباط
lead-cookies = لم يُعِد هذا المتصفح ملف تعريف الارتباط الذي استلمه قبل قليل. اسمح بملفات تعريف الارتباط لهذا العنوان، أو استخدم نافذة عادية، ثم سجِّل الدخول مرة أخرى.
headline-loop = تسجيل الدخول لا ينتهي
lead-loop = أُرسلت عدة مرات إلى «{ $provider }» وعدت في كل مرة بلا تسجيل دخول يدوم. أُوقف ذلك هنا.
headline-form = لم يُرسَل النموذج
lead-form = كان تسجيل دخولك قد انتهى: لم يستلم التطبيق شيئًا، ولم يُحفظ شيء. سجِّل الدخول في علامة تبويب جديدة، ثم عُد إلى هذه العلامة، وارجع إلى النموذج وأرسله مرة أخرى.
headline-sign-out = هل تريد تسجيل الخروج؟
lead-sign-out = يُنهي تسجيل الخروج جلستك هنا، وكذلك لدى خدمة تسجيل الدخول إن كانت تدعم ذلك.
headline-signed-out = لقد سجَّلت الخروج
lead-signed-out = على جهاز مشترك، أغلق أيضًا جميع نوافذ المتصفح.
verdict-signed-out = تم تسجيل الخروج هنا
verdict-signed-out-everywhere = تم تسجيل الخروج هنا ولدى خدمة تسجيل الدخول
headline-me = تسجيل دخولك
lead-me = هذا ما يُرى منه هنا. قد يطلب منك مكتب المساعدة قراءته.
headline-stale = لم يعد رابط تسجيل الدخول هذا صالحًا
lead-stale = استُخدم من قبل، أو مضى عليه وقت طويل، أو هو لمتصفح آخر. سجِّل الدخول مرة أخرى؛ وستعود إلى حيث أردت الذهاب.
headline-continue = جارٍ نقلك
lead-continue = إذا لم يحدث شيء، فاستخدم الرابط.
lead-not-delivered = سجَّلت الدخول مرة أخرى، لكن خدمة تسجيل الدخول لم تفعل ما يطلبه هذا التطبيق.
verdict-not-delivered = ليس هذا خطأك. لن يغيّره تسجيل الدخول مرة أخرى؛ يستطيع مكتب المساعدة ذلك.
action-continue = متابعة
action-new-tab = تسجيل الدخول في علامة تبويب جديدة
action-choose = اختيار طريقة أخرى
action-sign-out = تسجيل الخروج
