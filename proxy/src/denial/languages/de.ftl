# Deutsch

headline-context = Sie können { $app } von hier aus derzeit nicht öffnen
headline-context-nameless = Sie können diese App von hier aus derzeit nicht öffnen
headline-account = Sie können { $app } mit diesem Konto nicht öffnen
headline-account-nameless = Sie können diese App mit diesem Konto nicht öffnen
headline-reauthenticate = Melden Sie sich erneut an, um { $app } zu öffnen
headline-reauthenticate-nameless = Melden Sie sich erneut an, um diese App zu öffnen
headline-unavailable = { $app } kann derzeit nicht geöffnet werden
headline-unavailable-nameless = Diese App kann derzeit nicht geöffnet werden
headline-sign-in = Melden Sie sich an, um fortzufahren
headline-sign-in-again = Melden Sie sich erneut an, um fortzufahren
headline-bad-request = Diese Anfrage kann nicht angenommen werden
headline-no-app = Unter dieser Adresse gibt es nichts
headline-too-large = Der Upload ist zu groß
headline-too-slow = Dieser Upload ist zu langsam
headline-limited = Zu viele Anfragen
headline-fault = Bei uns ist etwas schiefgelaufen

signed-in-as = Sie sind angemeldet als { $user }.
lead-context = Ihre Anmeldung war erfolgreich, erfüllt aber nicht die Kriterien für den Zugriff auf diese Ressource. An Ihrem Kennwort liegt es nicht.
lead-account = Ihre Anmeldung war erfolgreich, aber dieses Konto ist der App nicht zugewiesen. An Ihrem Kennwort liegt es nicht.
lead-reauthenticate = Ihre Anmeldung war erfolgreich, aber diese Ressource verlangt einen weiteren Schritt.
lead-unavailable = Etwas, das für die Entscheidung nötig ist, hat nicht geantwortet. Sie haben nichts falsch gemacht.
lead-fault = Sie haben nichts falsch gemacht.
lead-upstream = Sie wurden zugelassen, aber die App dahinter hat nicht geantwortet.
lead-groups = Ihre Anmeldung war erfolgreich, aber Ihr Anmeldedienst hat nicht mitgeteilt, zu welchen Gruppen Sie gehören; das wird für die Entscheidung gebraucht. An Ihrem Kennwort liegt es nicht.
lead-certificate-missing = Ihre Anmeldung war erfolgreich, aber diese App verlangt außerdem ein Clientzertifikat, und Ihr Browser hat keines vorgelegt. Schließen Sie den Browser, öffnen Sie ihn neu und wählen Sie Ihr Zertifikat, wenn er danach fragt.
lead-certificate-untrusted = Ihre Anmeldung war erfolgreich, aber das Clientzertifikat, das Ihr Browser vorgelegt hat, wird von dieser App nicht angenommen. Schließen Sie den Browser, öffnen Sie ihn neu und wählen Sie ein anderes.
lead-certificate-revoked = Ihre Anmeldung war erfolgreich, aber Ihr Clientzertifikat wurde zurückgezogen. Sie brauchen ein neues.
lead-certificate-expired = Ihre Anmeldung war erfolgreich, aber Ihr Clientzertifikat ist zurzeit nicht gültig. Erneuern Sie es oder lassen Sie sich ein neues ausstellen.
lead-sign-in = Diese Adresse ist für angemeldete Personen.
lead-sign-in-again = Ihre Anmeldung ist beendet oder kann hier nicht verwendet werden.
lead-bad-request = Sie ist unvollständig oder nicht eindeutig lesbar.
lead-misdirected = Sie kam über eine Verbindung, die für eine andere Adresse geöffnet wurde. Laden Sie die Seite neu.
lead-no-app = Prüfen Sie die Adresse auf Tippfehler.
lead-too-large = Er ist größer, als hier angenommen wird.
lead-too-slow = Es kam so wenig davon an, dass er abgebrochen wurde.
lead-limited-tokens = Von Ihrer Netzadresse kamen zu viele ungültige Anmeldungen, deshalb wurde Ihre nicht geprüft.
lead-limited-address = Von Ihrer Netzadresse kamen mehr Anfragen, als diese Anwendung in dieser Zeit annimmt.
lead-limited-principal = Von Ihrem Konto kamen mehr Anfragen, als diese Anwendung in dieser Zeit annimmt.

verdict-structural = Das ist eine Regel Ihrer Organisation, keine Störung. Erneut versuchen, Cache leeren oder neu installieren ändert daran nichts.
verdict-groups = Warten oder erneut versuchen ändert daran nichts: Der Anmeldedienst muss so eingerichtet werden, dass er Ihre Gruppen mitteilt.
verdict-reauthenticate = Das ist eine Regel Ihrer Organisation, keine Störung. Eine neue Anmeldung, die sie erfüllt, öffnet die App.
verdict-temporary = Das ist eine Störung auf unserer Seite. Sie geht meist vorüber; versuchen Sie es in { $minutes ->
    [one] { $minutes } Minute
   *[other] { $minutes } Minuten
} erneut.
verdict-limited = Das geht von selbst vorbei: Warten Sie einen Moment und versuchen Sie es dann erneut.
verdict-repeated = { $count }-mal innerhalb von { $window } Minuten abgelehnt; ein weiterer Versuch ändert daran nichts.
verdict-repeated-often = Mehr als { $count }-mal innerhalb von { $window } Minuten abgelehnt; ein weiterer Versuch ändert daran nichts.

heading-remedies = Was Sie tun können
heading-reasons = Was die Kriterien nicht erfüllt
heading-operator = Von Ihrer Organisation
heading-details = Details
heading-report = Für Ihren Helpdesk
report-hint = Kopieren Sie diesen Text, wenn Sie um Hilfe bitten. Er enthält weder Ihren Namen noch Ihre Adresse.
actions-label = Aktionen
languages-label = Sprache
copy = Text kopieren
copied = Kopiert.

remedy-together = Alles zusammen:
remedy-other-network = Verbinden Sie sich aus einem zugelassenen Netzwerk oder schalten Sie Ihr VPN oder Ihren Proxy aus.
seen-at = Wir sehen Sie unter { $address }.
seen-at-country = Wir sehen Sie unter { $address }, { $country } (ungefähr).
remedy-compliant-device = Verwenden Sie ein Gerät, das Ihre Organisation verwaltet und das deren Anforderungen erfüllt.
remedy-hybrid-device = Verwenden Sie ein Gerät, das in die Domäne Ihrer Organisation eingebunden ist.
remedy-registered-device = Verwenden Sie ein Gerät, das bei Ihrer Organisation registriert ist.
device-not-shown = Dieser Browser hat keine Geräteidentität gezeigt: Verwenden Sie ein normales, kein privates Fenster eines unterstützten Browsers.
device-not-shown-by-client = Mit dieser Anmeldung kam keine Geräteidentität: Verwenden Sie ein Programm, das sich mit der Identität des Geräts anmeldet.
device-not-compliant = Dieses Gerät ist registriert, erfüllt aber die Anforderungen nicht.
device-unregistered = Dieses Gerät ist nicht registriert.
remedy-update-os = Aktualisieren Sie das Betriebssystem dieses Geräts.
remedy-update-named-os = Aktualisieren Sie { $platform }. Dieses Gerät meldet { $version }.
remedy-later = Sie können diese App wieder öffnen ab { $time }.
remedy-desktop-or-mobile = Öffnen Sie sie in der Desktop-App oder mobilen App statt im Browser.
remedy-browser = Öffnen Sie sie in einem Browser statt in diesem Programm.
remedy-stronger = Melden Sie sich mit einer stärkeren Methode erneut an.
remedy-sign-in-again = Melden Sie sich erneut an.
remedy-password = Ändern Sie Ihr Kennwort und melden Sie sich dann erneut an.
remedy-interaction = Melden Sie sich erneut an und führen Sie die verlangten Schritte aus.
remedy-other-flow = Melden Sie sich direkt auf diesem Gerät an, nicht mit einem Code und nicht durch Übertragung von einem anderen Gerät.
remedy-administrator = Nur ein Administrator kann das ändern.

reason-assignment = Dieses Konto ist der App nicht zugewiesen.
reason-location = Das Netzwerk oder der Ort, von dem aus Sie sich verbinden.
reason-platform = Das Betriebssystem dieses Geräts oder seine Version.
reason-client-app = Die Art des Programms, das Sie verwenden.
reason-device = Das Gerät, das Sie verwenden.
reason-device-compliance = Das Gerät erfüllt nicht die Anforderungen Ihrer Organisation.
reason-device-unknown = Mit der Anfrage kam keine Geräteidentität.
reason-device-joined = Das Gerät wird nicht von Ihrer Organisation verwaltet.
reason-client-approved = Das Programm ist nicht zugelassen.
reason-client-protected = Das Programm ist nicht durch Ihre Organisation geschützt.
reason-flow = Diese Art der Anmeldung ist für diese App nicht erlaubt.
reason-policy = Eine Regel Ihrer Organisation.
reason-groups = Ihr Anmeldedienst hat nicht mitgeteilt, zu welchen Gruppen Sie gehören.
reason-authentication = Die Methode Ihrer Anmeldung ist nicht stark genug.
reason-not-provable = Ihr Anmeldedienst teilt nicht mit, wie Sie sich angemeldet haben.
reason-session = Ihre Anmeldung liegt zu lange zurück.
reason-password = Ihr Kennwort muss geändert werden.
reason-interaction = Ein Schritt der Anmeldung ist noch offen.
reason-unavailable = Eine für die Entscheidung nötige Angabe ist derzeit nicht verfügbar.

action-sign-in = Anmelden
action-sign-in-again = Erneut anmelden
action-other-account = Mit einem anderen Konto anmelden
action-try-again = Erneut versuchen
action-fix-device = Dieses Gerät in Ordnung bringen
action-mail = An { $address } schreiben
action-help = Hilfeseite öffnen

contact = Kontakt
