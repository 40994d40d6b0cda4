# English: the language of everybody who has no other, and the one that the rest is held against.

headline-context = You can’t open { $app } from here right now
headline-context-nameless = You can’t open this app from here right now
headline-account = You can’t open { $app } with this account
headline-account-nameless = You can’t open this app with this account
headline-reauthenticate = Sign in again to open { $app }
headline-reauthenticate-nameless = Sign in again to open this app
headline-unavailable = { $app } can’t be opened right now
headline-unavailable-nameless = This app can’t be opened right now
headline-sign-in = Sign in to continue
headline-sign-in-again = Sign in again to continue
headline-bad-request = This request can’t be accepted
headline-no-app = There is nothing at this address
headline-too-large = This upload is too large
headline-too-slow = This upload is too slow
headline-limited = Too many requests
headline-fault = Something went wrong on our side

signed-in-as = You are signed in as { $user }.
lead-context = Your sign-in was successful but does not meet the criteria to access this resource. Your password is not the problem.
lead-account = Your sign-in was successful, but this account is not assigned to the app. Your password is not the problem.
lead-reauthenticate = Your sign-in was successful, but this resource asks for one more step.
lead-unavailable = Something that is needed to decide did not answer. You did nothing wrong.
lead-fault = You did nothing wrong.
lead-upstream = You were let in, but the app behind us did not answer.
lead-groups = Your sign-in was successful, but your sign-in service did not say which groups you belong to, and that is needed to decide. Your password is not the problem.
lead-certificate-missing = Your sign-in was successful, but this app also asks for a client certificate, and your browser showed none. Close the browser, open it again and choose your certificate when it asks.
lead-certificate-untrusted = Your sign-in was successful, but the client certificate that your browser showed is none that this app accepts. Close the browser, open it again and choose another one.
lead-certificate-revoked = Your sign-in was successful, but your client certificate was withdrawn. You need a new one.
lead-certificate-expired = Your sign-in was successful, but your client certificate is not valid at this time. Renew it, or ask for a new one.
lead-sign-in = This address is for people who are signed in.
lead-sign-in-again = Your sign-in has ended or can’t be used here.
lead-bad-request = It is incomplete, or it could be read in more than one way.
lead-misdirected = It came over a connection that was opened for another address. Load the page again.
lead-no-app = Check the address for typing mistakes.
lead-too-large = It is larger than is accepted here.
lead-too-slow = So little of it came that it was given up.
lead-limited-tokens = Too many sign-ins that are not valid came from your network address, so yours was not looked at.
lead-limited-address = More requests came from your network address than this app accepts in that time.
lead-limited-principal = More requests came from your account than this app accepts in that time.

verdict-structural = This is a rule of your organisation, not a fault. Trying again, clearing the cache or reinstalling will not change it.
verdict-groups = Waiting or trying again will not change it: your sign-in service has to be set up so that it says your groups.
verdict-reauthenticate = This is a rule of your organisation, not a fault. A new sign-in that meets it opens the app.
verdict-temporary = This is a fault on our side. It usually passes; try again in { $minutes ->
    [one] { $minutes } minute
   *[other] { $minutes } minutes
}.
verdict-limited = It passes by itself: wait a moment, then try again.
verdict-repeated = Refused { $count } times within { $window } minutes; trying again will not change it.
verdict-repeated-often = Refused more than { $count } times within { $window } minutes; trying again will not change it.

heading-remedies = What you can do
heading-reasons = What did not meet the criteria
heading-operator = From your organisation
heading-details = Details
heading-report = For your help desk
report-hint = Copy this text when you ask for help. It holds neither your name nor your address.
actions-label = Actions
languages-label = Language
copy = Copy this text
copied = Copied.

remedy-together = All of this together:
remedy-other-network = Connect from an approved network, or turn off your VPN or proxy.
seen-at = We see you at { $address }.
seen-at-country = We see you at { $address }, { $country } (approximate).
remedy-compliant-device = Use a device that your organisation manages and that meets its requirements.
remedy-hybrid-device = Use a device that is joined to your organisation’s domain.
remedy-registered-device = Use a device that is registered with your organisation.
device-not-shown = This browser did not show a device identity: use a normal window, not a private one, of a supported browser.
device-not-shown-by-client = No device identity came with this sign-in: use a client that signs in with the device’s identity.
device-not-compliant = This device is registered but does not meet the requirements.
device-unregistered = This device is not registered.
remedy-update-os = Update the operating system of this device.
remedy-update-named-os = Update { $platform }. This device reports { $version }.
remedy-later = You may open this app again from { $time }.
remedy-desktop-or-mobile = Open it in the desktop or mobile app instead of the browser.
remedy-browser = Open it in a browser instead of this app.
remedy-stronger = Sign in again with a stronger method.
remedy-sign-in-again = Sign in again.
remedy-password = Change your password, then sign in again.
remedy-interaction = Sign in again and complete the steps that you are asked for.
remedy-other-flow = Sign in directly on this device, not with a code and not by transfer from another device.
remedy-administrator = Only an administrator can change this.

reason-assignment = This account is not assigned to the app.
reason-location = The network or place that you connect from.
reason-platform = The operating system of this device, or its version.
reason-client-app = The kind of program that you use.
reason-device = The device that you use.
reason-device-compliance = The device does not meet the requirements of your organisation.
reason-device-unknown = No device identity came with the request.
reason-device-joined = The device is not managed by your organisation.
reason-client-approved = The program is not one that is approved.
reason-client-protected = The program is not protected by your organisation.
reason-flow = This way of signing in is not allowed for this app.
reason-policy = A rule of your organisation.
reason-groups = Your sign-in service did not say which groups you belong to.
reason-authentication = The method of your sign-in is not strong enough.
reason-not-provable = Your sign-in service does not tell how you signed in.
reason-session = Your sign-in is too long ago.
reason-password = Your password must be changed.
reason-interaction = A step of the sign-in is still open.
reason-unavailable = A fact that is needed to decide is not available right now.

action-sign-in = Sign in
action-sign-in-again = Sign in again
action-other-account = Sign in with another account
action-try-again = Try again
action-fix-device = Fix this device
action-mail = Write to { $address }
action-help = Open the help page

contact = Contact
