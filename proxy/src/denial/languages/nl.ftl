# Nederlands

headline-context = U kunt { $app } hiervandaan nu niet openen
headline-context-nameless = U kunt deze app hiervandaan nu niet openen
headline-account = U kunt { $app } niet openen met dit account
headline-account-nameless = U kunt deze app niet openen met dit account
headline-reauthenticate = Meld u opnieuw aan om { $app } te openen
headline-reauthenticate-nameless = Meld u opnieuw aan om deze app te openen
headline-unavailable = { $app } kan nu niet worden geopend
headline-unavailable-nameless = Deze app kan nu niet worden geopend
headline-sign-in = Meld u aan om door te gaan
headline-sign-in-again = Meld u opnieuw aan om door te gaan
headline-bad-request = Deze aanvraag kan niet worden aangenomen
headline-no-app = Op dit adres is niets te vinden
headline-too-large = Deze upload is te groot
headline-too-slow = Deze upload is te langzaam
headline-limited = Te veel verzoeken
headline-fault = Er is bij ons iets misgegaan

signed-in-as = U bent aangemeld als { $user }.
lead-context = Uw aanmelding is gelukt, maar voldoet niet aan de criteria voor toegang tot deze resource. Aan uw wachtwoord ligt het niet.
lead-account = Uw aanmelding is gelukt, maar dit account is niet aan de app toegewezen. Aan uw wachtwoord ligt het niet.
lead-reauthenticate = Uw aanmelding is gelukt, maar deze resource vraagt nog een stap.
lead-unavailable = Iets wat nodig is om te beslissen, heeft niet geantwoord. U hebt niets verkeerd gedaan.
lead-fault = U hebt niets verkeerd gedaan.
lead-upstream = U bent toegelaten, maar de app erachter heeft niet geantwoord.
lead-groups = Uw aanmelding is gelukt, maar uw aanmeldservice heeft niet laten weten tot welke groepen u behoort, en dat is nodig om te beslissen. Aan uw wachtwoord ligt het niet.
lead-certificate-missing = Uw aanmelding is gelukt, maar deze app vraagt ook om een clientcertificaat en uw browser heeft er geen getoond. Sluit de browser, open hem opnieuw en kies uw certificaat wanneer hij erom vraagt.
lead-certificate-untrusted = Uw aanmelding is gelukt, maar het clientcertificaat dat uw browser heeft getoond, wordt door deze app niet geaccepteerd. Sluit de browser, open hem opnieuw en kies een ander.
lead-certificate-revoked = Uw aanmelding is gelukt, maar uw clientcertificaat is ingetrokken. U hebt een nieuw nodig.
lead-certificate-expired = Uw aanmelding is gelukt, maar uw clientcertificaat is op dit moment niet geldig. Vernieuw het of vraag een nieuw aan.
lead-sign-in = Dit adres is voor mensen die zijn aangemeld.
lead-sign-in-again = Uw aanmelding is beëindigd of kan hier niet worden gebruikt.
lead-bad-request = De aanvraag is onvolledig of kan op meer dan één manier worden gelezen.
lead-misdirected = De aanvraag kwam binnen over een verbinding die voor een ander adres is geopend. Laad de pagina opnieuw.
lead-no-app = Controleer het adres op typefouten.
lead-too-large = De upload is groter dan hier wordt aangenomen.
lead-too-slow = Er kwam zo weinig van binnen dat hij is afgebroken.
lead-limited-tokens = Van uw netwerkadres kwamen te veel ongeldige aanmeldingen; die van u is daarom niet gecontroleerd.
lead-limited-address = Van uw netwerkadres kwamen meer verzoeken dan deze app in die tijd aanneemt.
lead-limited-principal = Van uw account kwamen meer verzoeken dan deze app in die tijd aanneemt.

verdict-structural = Dit is een regel van uw organisatie, geen storing. Opnieuw proberen, de cache wissen of opnieuw installeren verandert daar niets aan.
verdict-groups = Wachten of opnieuw proberen verandert daar niets aan: de aanmeldservice moet zo worden ingesteld dat die uw groepen doorgeeft.
verdict-reauthenticate = Dit is een regel van uw organisatie, geen storing. Een nieuwe aanmelding die eraan voldoet, opent de app.
verdict-temporary = Dit is een storing aan onze kant. Die gaat meestal voorbij; probeer het over { $minutes ->
    [one] { $minutes } minuut
   *[other] { $minutes } minuten
} opnieuw.
verdict-limited = Het gaat vanzelf over: wacht even en probeer het dan opnieuw.
verdict-repeated = { $count } keer geweigerd binnen { $window } minuten; opnieuw proberen verandert daar niets aan.
verdict-repeated-often = Meer dan { $count } keer geweigerd binnen { $window } minuten; opnieuw proberen verandert daar niets aan.

heading-remedies = Wat u kunt doen
heading-reasons = Wat niet aan de criteria voldoet
heading-operator = Van uw organisatie
heading-details = Details
heading-report = Voor uw helpdesk
report-hint = Kopieer deze tekst wanneer u om hulp vraagt. Uw naam en adres staan er niet in.
actions-label = Acties
languages-label = Taal
copy = Deze tekst kopiëren
copied = Gekopieerd.

remedy-together = Dit alles samen:
remedy-other-network = Maak verbinding vanaf een goedgekeurd netwerk, of zet uw VPN of proxy uit.
seen-at = Wij zien u op { $address }.
seen-at-country = Wij zien u op { $address }, { $country } (bij benadering).
remedy-compliant-device = Gebruik een apparaat dat uw organisatie beheert en dat aan haar eisen voldoet.
remedy-hybrid-device = Gebruik een apparaat dat lid is van het domein van uw organisatie.
remedy-registered-device = Gebruik een apparaat dat bij uw organisatie is geregistreerd.
device-not-shown = Deze browser heeft geen apparaatidentiteit getoond: gebruik een gewoon venster, geen privévenster, van een ondersteunde browser.
device-not-shown-by-client = Bij deze aanmelding kwam geen apparaatidentiteit mee: gebruik een programma dat zich met de identiteit van het apparaat aanmeldt.
device-not-compliant = Dit apparaat is geregistreerd, maar voldoet niet aan de eisen.
device-unregistered = Dit apparaat is niet geregistreerd.
remedy-update-os = Werk het besturingssysteem van dit apparaat bij.
remedy-update-named-os = Werk { $platform } bij. Dit apparaat meldt { $version }.
remedy-later = U kunt deze app weer openen vanaf { $time }.
remedy-desktop-or-mobile = Open de app in de desktop- of mobiele app in plaats van in de browser.
remedy-browser = Open de app in een browser in plaats van in dit programma.
remedy-stronger = Meld u opnieuw aan met een sterkere methode.
remedy-sign-in-again = Meld u opnieuw aan.
remedy-password = Wijzig uw wachtwoord en meld u daarna opnieuw aan.
remedy-interaction = Meld u opnieuw aan en doorloop de gevraagde stappen.
remedy-other-flow = Meld u rechtstreeks op dit apparaat aan, niet met een code en niet door overdracht vanaf een ander apparaat.
remedy-administrator = Alleen een beheerder kan dit veranderen.

reason-assignment = Dit account is niet aan de app toegewezen.
reason-location = Het netwerk of de plaats van waaruit u verbinding maakt.
reason-platform = Het besturingssysteem van dit apparaat, of de versie ervan.
reason-client-app = Het soort programma dat u gebruikt.
reason-device = Het apparaat dat u gebruikt.
reason-device-compliance = Het apparaat voldoet niet aan de eisen van uw organisatie.
reason-device-unknown = Bij de aanvraag kwam geen apparaatidentiteit mee.
reason-device-joined = Het apparaat wordt niet door uw organisatie beheerd.
reason-client-approved = Het programma is niet goedgekeurd.
reason-client-protected = Het programma wordt niet door uw organisatie beschermd.
reason-flow = Deze manier van aanmelden is voor deze app niet toegestaan.
reason-policy = Een regel van uw organisatie.
reason-groups = Uw aanmeldservice heeft niet laten weten tot welke groepen u behoort.
reason-authentication = De methode van uw aanmelding is niet sterk genoeg.
reason-not-provable = Uw aanmeldservice geeft niet door hoe u zich hebt aangemeld.
reason-session = Uw aanmelding is te lang geleden.
reason-password = Uw wachtwoord moet worden gewijzigd.
reason-interaction = Een stap van de aanmelding staat nog open.
reason-unavailable = Een gegeven dat nodig is om te beslissen, is nu niet beschikbaar.

action-sign-in = Aanmelden
action-sign-in-again = Opnieuw aanmelden
action-other-account = Aanmelden met een ander account
action-try-again = Opnieuw proberen
action-fix-device = Dit apparaat in orde brengen
action-mail = Schrijven naar { $address }
action-help = De hulppagina openen

contact = Contact
