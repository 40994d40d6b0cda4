# 日本語

headline-context = 現在、ここから { $app } を開くことはできません
headline-context-nameless = 現在、ここからこのアプリを開くことはできません
headline-account = このアカウントでは { $app } を開くことはできません
headline-account-nameless = このアカウントではこのアプリを開くことはできません
headline-reauthenticate = { $app } を開くには、もう一度サインインしてください
headline-reauthenticate-nameless = このアプリを開くには、もう一度サインインしてください
headline-unavailable = 現在、{ $app } を開くことができません
headline-unavailable-nameless = 現在、このアプリを開くことができません
headline-sign-in = 続けるにはサインインしてください
headline-sign-in-again = 続けるにはもう一度サインインしてください
headline-bad-request = この要求は受け付けられません
headline-no-app = このアドレスには何もありません
headline-too-large = アップロードのサイズが大きすぎます
headline-fault = こちら側で問題が発生しました

signed-in-as = { $user } としてサインインしています。
lead-context = サインインは成功しましたが、このリソースにアクセスするための条件を満たしていません。パスワードの問題ではありません。
lead-account = サインインは成功しましたが、このアカウントにはこのアプリが割り当てられていません。パスワードの問題ではありません。
lead-reauthenticate = サインインは成功しましたが、このリソースにはもう 1 つの手順が必要です。
lead-unavailable = 判断に必要な情報の提供元が応答しませんでした。お客様の操作に問題はありません。
lead-fault = お客様の操作に問題はありません。
lead-upstream = アクセスは許可されましたが、アプリが応答しませんでした。
lead-sign-in = このアドレスを利用するにはサインインが必要です。
lead-sign-in-again = サインインの有効期間が終了したか、ここでは使用できません。
lead-bad-request = 不完全であるか、複数の意味に解釈できます。
lead-no-app = アドレスに入力ミスがないか確認してください。
lead-too-large = ここで受け付けられるサイズを超えています。

verdict-structural = これは組織のルールによるもので、障害ではありません。再試行、キャッシュの消去、再インストールをしても結果は変わりません。
verdict-reauthenticate = これは組織のルールによるもので、障害ではありません。ルールを満たすサインインをやり直すと、アプリを開くことができます。
verdict-temporary = これはこちら側の障害です。通常は一時的なものです。{ $minutes } 分後にもう一度お試しください。
verdict-repeated = { $window } 分以内に { $count } 回拒否されました。再試行しても結果は変わりません。
verdict-repeated-often = { $window } 分以内に { $count } 回を超えて拒否されました。再試行しても結果は変わりません。

heading-remedies = できること
heading-reasons = 条件を満たしていない項目
heading-operator = 組織からのお知らせ
heading-details = 詳細
heading-report = ヘルプデスク用の情報
report-hint = サポートを依頼するときは、このテキストをコピーしてください。お名前とアドレスは含まれていません。
actions-label = 操作
languages-label = 言語
copy = 情報をクリップボードにコピーする
copied = コピーしました。

remedy-together = 次のすべてが必要です:
remedy-other-network = 承認されたネットワークから接続するか、VPN またはプロキシをオフにしてください。
seen-at = 接続元のアドレスは { $address } です。
seen-at-country = 接続元のアドレスは { $address }、{ $country }（おおよその位置）です。
remedy-compliant-device = 組織が管理し、要件を満たしているデバイスを使用してください。
remedy-hybrid-device = 組織のドメインに参加しているデバイスを使用してください。
remedy-registered-device = 組織に登録されているデバイスを使用してください。
device-not-shown = このブラウザーからデバイス ID が提示されませんでした。サポートされているブラウザーの、プライベートではない通常のウィンドウを使用してください。
device-not-shown-by-client = このサインインにはデバイス ID が含まれていませんでした。デバイスの ID でサインインするクライアントを使用してください。
device-not-compliant = このデバイスは登録されていますが、要件を満たしていません。
device-unregistered = このデバイスは登録されていません。
remedy-update-os = このデバイスのオペレーティング システムを更新してください。
remedy-update-named-os = { $platform } を更新してください。このデバイスのバージョンは { $version } です。
remedy-later = このアプリは { $time } から再び開くことができます。
remedy-desktop-or-mobile = ブラウザーではなく、デスクトップ アプリまたはモバイル アプリで開いてください。
remedy-browser = このプログラムではなく、ブラウザーで開いてください。
remedy-stronger = より強力な方法でもう一度サインインしてください。
remedy-sign-in-again = もう一度サインインしてください。
remedy-password = パスワードを変更してから、もう一度サインインしてください。
remedy-interaction = もう一度サインインし、求められた手順を完了してください。
remedy-other-flow = コードの入力や別のデバイスからの転送ではなく、このデバイスで直接サインインしてください。
remedy-administrator = これを変更できるのは管理者だけです。

reason-assignment = このアカウントにはこのアプリが割り当てられていません。
reason-location = 接続元のネットワークまたは場所。
reason-platform = このデバイスのオペレーティング システムまたはそのバージョン。
reason-client-app = 使用しているプログラムの種類。
reason-device = 使用しているデバイス。
reason-device-compliance = デバイスが組織の要件を満たしていません。
reason-device-unknown = 要求にデバイス ID が含まれていませんでした。
reason-device-joined = デバイスが組織によって管理されていません。
reason-client-approved = プログラムが承認されていません。
reason-client-protected = プログラムが組織によって保護されていません。
reason-flow = このサインイン方法は、このアプリでは許可されていません。
reason-policy = 組織のルール。
reason-authentication = サインイン方法の強度が不足しています。
reason-session = サインインから時間が経ちすぎています。
reason-password = パスワードを変更する必要があります。
reason-interaction = サインインの手順がまだ完了していません。
reason-unavailable = 判断に必要な情報を現在利用できません。

action-sign-in = サインイン
action-sign-in-again = もう一度サインイン
action-other-account = 別のアカウントでサインイン
action-try-again = もう一度試す
action-fix-device = このデバイスを修正する
action-mail = { $address } にメールを送る
action-help = ヘルプ ページを開く

contact = 連絡先
