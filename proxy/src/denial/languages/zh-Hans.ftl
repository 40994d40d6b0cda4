# 简体中文

headline-context = 目前无法从此处打开 { $app }
headline-context-nameless = 目前无法从此处打开此应用
headline-account = 无法使用此帐户打开 { $app }
headline-account-nameless = 无法使用此帐户打开此应用
headline-reauthenticate = 请重新登录以打开 { $app }
headline-reauthenticate-nameless = 请重新登录以打开此应用
headline-unavailable = 目前无法打开 { $app }
headline-unavailable-nameless = 目前无法打开此应用
headline-sign-in = 请登录以继续
headline-sign-in-again = 请重新登录以继续
headline-bad-request = 无法接受此请求
headline-no-app = 此地址没有任何内容
headline-too-large = 上传的内容太大
headline-fault = 我们这边出了问题

signed-in-as = 你已使用 { $user } 登录。
lead-context = 你已成功登录，但不符合访问此资源的条件。问题不在于你的密码。
lead-account = 你已成功登录，但此帐户未分配到该应用。问题不在于你的密码。
lead-reauthenticate = 你已成功登录，但此资源还需要一个步骤。
lead-unavailable = 做出判断所需的某个来源没有响应。你的操作没有问题。
lead-fault = 你的操作没有问题。
lead-upstream = 你已获准访问，但应用没有响应。
lead-sign-in = 此地址仅供已登录的用户使用。
lead-sign-in-again = 你的登录已结束，或无法在此处使用。
lead-bad-request = 请求不完整，或可以有多种理解方式。
lead-no-app = 请检查地址是否有输入错误。
lead-too-large = 超过了此处可接受的大小。

verdict-structural = 这是你的组织的规则，不是故障。重试、清除缓存或重新安装都不会改变结果。
verdict-reauthenticate = 这是你的组织的规则，不是故障。以符合规则的方式重新登录即可打开应用。
verdict-temporary = 这是我们这边的故障，通常会自行恢复；请在 { $minutes } 分钟后重试。
verdict-repeated = { $window } 分钟内已被拒绝 { $count } 次；重试不会改变结果。
verdict-repeated-often = { $window } 分钟内已被拒绝超过 { $count } 次；重试不会改变结果。

heading-remedies = 你可以怎么做
heading-reasons = 不符合条件的内容
heading-operator = 来自你的组织
heading-details = 详细信息
heading-report = 提供给技术支持
report-hint = 寻求帮助时请复制此文本。其中不含你的姓名和地址。
actions-label = 操作
languages-label = 语言
copy = 复制此文本
copied = 已复制。

remedy-together = 需同时满足以下各项：
remedy-other-network = 请从已批准的网络连接，或关闭 VPN 或代理。
seen-at = 我们看到你的地址是 { $address }。
seen-at-country = 我们看到你的地址是 { $address }，{ $country }（大致位置）。
remedy-compliant-device = 请使用由你的组织管理且符合其要求的设备。
remedy-hybrid-device = 请使用已加入你的组织的域的设备。
remedy-registered-device = 请使用已在你的组织注册的设备。
device-not-shown = 此浏览器没有提供设备标识：请使用受支持浏览器的普通窗口，而不是无痕窗口。
device-not-shown-by-client = 此次登录没有附带设备标识：请使用以设备标识登录的客户端。
device-not-compliant = 此设备已注册，但不符合要求。
device-unregistered = 此设备未注册。
remedy-update-os = 请更新此设备的操作系统。
remedy-update-named-os = 请更新 { $platform }。此设备报告的版本是 { $version }。
remedy-later = 从 { $time } 起可以再次打开此应用。
remedy-desktop-or-mobile = 请在桌面或移动应用中打开，而不是在浏览器中打开。
remedy-browser = 请在浏览器中打开，而不是在此程序中打开。
remedy-stronger = 请使用更强的方法重新登录。
remedy-sign-in-again = 请重新登录。
remedy-password = 请更改密码，然后重新登录。
remedy-interaction = 请重新登录并完成要求的步骤。
remedy-other-flow = 请直接在此设备上登录，不要使用代码，也不要从其他设备转移登录。
remedy-administrator = 只有管理员才能更改此设置。

reason-assignment = 此帐户未分配到该应用。
reason-location = 你连接时所在的网络或位置。
reason-platform = 此设备的操作系统或其版本。
reason-client-app = 你使用的程序类型。
reason-device = 你使用的设备。
reason-device-compliance = 设备不符合你的组织的要求。
reason-device-unknown = 请求没有附带设备标识。
reason-device-joined = 设备未由你的组织管理。
reason-client-approved = 该程序未获批准。
reason-client-protected = 该程序未受你的组织保护。
reason-flow = 此应用不允许使用这种登录方式。
reason-policy = 你的组织的规则。
reason-authentication = 你的登录方法强度不够。
reason-session = 你上次登录的时间过久。
reason-password = 必须更改你的密码。
reason-interaction = 登录还有一个步骤未完成。
reason-unavailable = 做出判断所需的某项信息目前不可用。

action-sign-in = 登录
action-sign-in-again = 重新登录
action-other-account = 使用其他帐户登录
action-try-again = 重试
action-fix-device = 修复此设备
action-mail = 写信给 { $address }
action-help = 打开帮助页面

contact = 联系方式
