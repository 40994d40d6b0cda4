# 한국어

headline-context = 지금 여기에서는 { $app } 앱을 열 수 없습니다
headline-context-nameless = 지금 여기에서는 이 앱을 열 수 없습니다
headline-account = 이 계정으로는 { $app } 앱을 열 수 없습니다
headline-account-nameless = 이 계정으로는 이 앱을 열 수 없습니다
headline-reauthenticate = { $app } 앱을 열려면 다시 로그인하세요
headline-reauthenticate-nameless = 이 앱을 열려면 다시 로그인하세요
headline-unavailable = 지금은 { $app } 앱을 열 수 없습니다
headline-unavailable-nameless = 지금은 이 앱을 열 수 없습니다
headline-sign-in = 계속하려면 로그인하세요
headline-sign-in-again = 계속하려면 다시 로그인하세요
headline-bad-request = 이 요청은 받아들일 수 없습니다
headline-no-app = 이 주소에는 아무것도 없습니다
headline-too-large = 업로드 크기가 너무 큽니다
headline-fault = 저희 쪽에서 문제가 발생했습니다

signed-in-as = { $user }(으)로 로그인되어 있습니다.
lead-context = 로그인했지만 이 리소스에 액세스하기 위한 조건을 충족하지 않습니다. 암호 문제가 아닙니다.
lead-account = 로그인했지만 이 계정은 앱에 할당되어 있지 않습니다. 암호 문제가 아닙니다.
lead-reauthenticate = 로그인했지만 이 리소스에는 한 단계가 더 필요합니다.
lead-unavailable = 판단에 필요한 정보원이 응답하지 않았습니다. 사용자의 잘못이 아닙니다.
lead-fault = 사용자의 잘못이 아닙니다.
lead-upstream = 액세스가 허용되었지만 앱이 응답하지 않았습니다.
lead-sign-in = 이 주소는 로그인한 사용자만 이용할 수 있습니다.
lead-sign-in-again = 로그인이 만료되었거나 여기에서 사용할 수 없습니다.
lead-bad-request = 요청이 불완전하거나 여러 가지로 해석될 수 있습니다.
lead-no-app = 주소에 오타가 없는지 확인하세요.
lead-too-large = 여기에서 허용되는 크기보다 큽니다.

verdict-structural = 이것은 조직의 규칙이며 장애가 아닙니다. 다시 시도하거나 캐시를 지우거나 다시 설치해도 결과는 바뀌지 않습니다.
verdict-reauthenticate = 이것은 조직의 규칙이며 장애가 아닙니다. 규칙을 충족하도록 다시 로그인하면 앱이 열립니다.
verdict-temporary = 저희 쪽 장애입니다. 대개 곧 해결됩니다. { $minutes }분 후에 다시 시도하세요.
verdict-repeated = { $window }분 안에 { $count }번 거부되었습니다. 다시 시도해도 결과는 바뀌지 않습니다.
verdict-repeated-often = { $window }분 안에 { $count }번 넘게 거부되었습니다. 다시 시도해도 결과는 바뀌지 않습니다.

heading-remedies = 할 수 있는 일
heading-reasons = 조건을 충족하지 않은 항목
heading-operator = 조직의 안내
heading-details = 세부 정보
heading-report = 지원 센터에 전달할 내용
report-hint = 도움을 요청할 때 이 텍스트를 복사하세요. 이름과 주소는 들어 있지 않습니다.
actions-label = 작업
languages-label = 언어
copy = 이 텍스트 복사
copied = 복사했습니다.

remedy-together = 다음이 모두 필요합니다:
remedy-other-network = 승인된 네트워크에서 연결하거나 VPN 또는 프록시를 끄세요.
seen-at = 확인된 접속 주소는 { $address }입니다.
seen-at-country = 확인된 접속 주소는 { $address }, { $country }(대략적인 위치)입니다.
remedy-compliant-device = 조직이 관리하고 요구 사항을 충족하는 디바이스를 사용하세요.
remedy-hybrid-device = 조직의 도메인에 가입된 디바이스를 사용하세요.
remedy-registered-device = 조직에 등록된 디바이스를 사용하세요.
device-not-shown = 이 브라우저가 디바이스 ID를 제시하지 않았습니다. 지원되는 브라우저에서 시크릿 창이 아닌 일반 창을 사용하세요.
device-not-shown-by-client = 이 로그인에는 디바이스 ID가 없습니다. 디바이스 ID로 로그인하는 클라이언트를 사용하세요.
device-not-compliant = 이 디바이스는 등록되어 있지만 요구 사항을 충족하지 않습니다.
device-unregistered = 이 디바이스는 등록되어 있지 않습니다.
remedy-update-os = 이 디바이스의 운영 체제를 업데이트하세요.
remedy-update-named-os = { $platform }을(를) 업데이트하세요. 이 디바이스의 버전은 { $version }입니다.
remedy-later = 이 앱은 { $time }부터 다시 열 수 있습니다.
remedy-desktop-or-mobile = 브라우저 대신 데스크톱 앱이나 모바일 앱에서 여세요.
remedy-browser = 이 프로그램 대신 브라우저에서 여세요.
remedy-stronger = 더 강력한 방법으로 다시 로그인하세요.
remedy-sign-in-again = 다시 로그인하세요.
remedy-password = 암호를 변경한 다음 다시 로그인하세요.
remedy-interaction = 다시 로그인하고 요청되는 단계를 완료하세요.
remedy-other-flow = 코드나 다른 디바이스에서의 전송을 사용하지 말고 이 디바이스에서 직접 로그인하세요.
remedy-administrator = 관리자만 이것을 변경할 수 있습니다.

reason-assignment = 이 계정은 앱에 할당되어 있지 않습니다.
reason-location = 연결한 네트워크 또는 위치.
reason-platform = 이 디바이스의 운영 체제 또는 그 버전.
reason-client-app = 사용하는 프로그램의 종류.
reason-device = 사용하는 디바이스.
reason-device-compliance = 디바이스가 조직의 요구 사항을 충족하지 않습니다.
reason-device-unknown = 요청에 디바이스 ID가 없습니다.
reason-device-joined = 디바이스가 조직에서 관리되지 않습니다.
reason-client-approved = 승인된 프로그램이 아닙니다.
reason-client-protected = 조직에서 보호하는 프로그램이 아닙니다.
reason-flow = 이 로그인 방식은 이 앱에서 허용되지 않습니다.
reason-policy = 조직의 규칙.
reason-authentication = 로그인 방법의 강도가 충분하지 않습니다.
reason-session = 로그인한 지 너무 오래되었습니다.
reason-password = 암호를 변경해야 합니다.
reason-interaction = 로그인 단계가 아직 남아 있습니다.
reason-unavailable = 판단에 필요한 정보를 지금 사용할 수 없습니다.

action-sign-in = 로그인
action-sign-in-again = 다시 로그인
action-other-account = 다른 계정으로 로그인
action-try-again = 다시 시도
action-fix-device = 이 디바이스 문제 해결
action-mail = { $address }(으)로 메일 보내기
action-help = 도움말 페이지 열기

contact = 연락처
