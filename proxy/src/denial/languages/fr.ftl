# Français

headline-context = Vous ne pouvez pas ouvrir { $app } d’ici pour le moment
headline-context-nameless = Vous ne pouvez pas ouvrir cette application d’ici pour le moment
headline-account = Vous ne pouvez pas ouvrir { $app } avec ce compte
headline-account-nameless = Vous ne pouvez pas ouvrir cette application avec ce compte
headline-reauthenticate = Reconnectez-vous pour ouvrir { $app }
headline-reauthenticate-nameless = Reconnectez-vous pour ouvrir cette application
headline-unavailable = { $app } ne peut pas être ouvert pour le moment
headline-unavailable-nameless = Cette application ne peut pas être ouverte pour le moment
headline-sign-in = Connectez-vous pour continuer
headline-sign-in-again = Reconnectez-vous pour continuer
headline-bad-request = Cette requête ne peut pas être acceptée
headline-no-app = Il n’y a rien à cette adresse
headline-too-large = Cet envoi est trop volumineux
headline-too-slow = Cet envoi est trop lent
headline-limited = Trop de requêtes
headline-fault = Un problème est survenu de notre côté

signed-in-as = Vous êtes connecté en tant que { $user }.
lead-context = Votre connexion a réussi, mais ne répond pas aux critères d’accès à cette ressource. Votre mot de passe n’est pas en cause.
lead-account = Votre connexion a réussi, mais ce compte n’est pas affecté à l’application. Votre mot de passe n’est pas en cause.
lead-reauthenticate = Votre connexion a réussi, mais cette ressource demande une étape de plus.
lead-unavailable = Un élément nécessaire à la décision n’a pas répondu. Vous n’avez rien fait de mal.
lead-fault = Vous n’avez rien fait de mal.
lead-upstream = L’accès vous a été accordé, mais l’application n’a pas répondu.
lead-groups = Votre connexion a réussi, mais votre service de connexion n’a pas indiqué à quels groupes vous appartenez, ce qui est nécessaire à la décision. Votre mot de passe n’est pas en cause.
lead-certificate-missing = Votre connexion a réussi, mais cette application demande aussi un certificat client et votre navigateur n’en a présenté aucun. Fermez le navigateur, rouvrez-le et choisissez votre certificat lorsqu’il le demande.
lead-certificate-untrusted = Votre connexion a réussi, mais cette application n’accepte pas le certificat client présenté par votre navigateur. Fermez le navigateur, rouvrez-le et choisissez-en un autre.
lead-certificate-revoked = Votre connexion a réussi, mais votre certificat client a été révoqué. Il vous en faut un nouveau.
lead-certificate-expired = Votre connexion a réussi, mais votre certificat client n’est pas valide en ce moment. Renouvelez-le ou demandez-en un nouveau.
lead-sign-in = Cette adresse est réservée aux personnes connectées.
lead-sign-in-again = Votre connexion est terminée ou ne peut pas être utilisée ici.
lead-bad-request = Elle est incomplète, ou peut être lue de plusieurs façons.
lead-misdirected = Elle est arrivée par une connexion ouverte pour une autre adresse. Rechargez la page.
lead-no-app = Vérifiez que l’adresse ne contient pas de faute de frappe.
lead-too-large = Il dépasse la taille acceptée ici.
lead-too-slow = Il en arrivait si peu qu’il a été interrompu.
lead-limited-tokens = Trop de connexions non valides sont venues de votre adresse réseau ; la vôtre n’a donc pas été vérifiée.
lead-limited-address = Votre adresse réseau a envoyé plus de requêtes que cette application n’en accepte dans ce délai.
lead-limited-principal = Votre compte a envoyé plus de requêtes que cette application n’en accepte dans ce délai.

verdict-structural = C’est une règle de votre organisation, pas une panne. Réessayer, vider le cache ou réinstaller n’y changera rien.
verdict-groups = Attendre ou réessayer n’y changera rien : le service de connexion doit être configuré pour indiquer vos groupes.
verdict-reauthenticate = C’est une règle de votre organisation, pas une panne. Une nouvelle connexion qui la respecte ouvre l’application.
verdict-temporary = C’est une panne de notre côté. Elle est en général passagère ; réessayez dans { $minutes ->
    [one] { $minutes } minute
   *[other] { $minutes } minutes
}.
verdict-limited = Cela passe tout seul : patientez un instant, puis réessayez.
verdict-repeated = Refusé { $count } fois en { $window } minutes ; réessayer n’y changera rien.
verdict-repeated-often = Refusé plus de { $count } fois en { $window } minutes ; réessayer n’y changera rien.

heading-remedies = Ce que vous pouvez faire
heading-reasons = Ce qui ne répond pas aux critères
heading-operator = De la part de votre organisation
heading-details = Détails
heading-report = Pour votre support informatique
report-hint = Copiez ce texte lorsque vous demandez de l’aide. Il ne contient ni votre nom ni votre adresse.
actions-label = Actions
languages-label = Langue
copy = Copier ce texte
copied = Copié.

remedy-together = Tout cela à la fois :
remedy-other-network = Connectez-vous depuis un réseau approuvé, ou désactivez votre VPN ou votre proxy.
seen-at = Nous vous voyons à l’adresse { $address }.
seen-at-country = Nous vous voyons à l’adresse { $address }, { $country } (approximatif).
remedy-compliant-device = Utilisez un appareil géré par votre organisation et conforme à ses exigences.
remedy-hybrid-device = Utilisez un appareil joint au domaine de votre organisation.
remedy-registered-device = Utilisez un appareil inscrit auprès de votre organisation.
device-not-shown = Ce navigateur n’a présenté aucune identité d’appareil : utilisez une fenêtre normale, et non privée, d’un navigateur pris en charge.
device-not-shown-by-client = Aucune identité d’appareil n’accompagnait cette connexion : utilisez un client qui se connecte avec l’identité de l’appareil.
device-not-compliant = Cet appareil est inscrit mais ne répond pas aux exigences.
device-unregistered = Cet appareil n’est pas inscrit.
remedy-update-os = Mettez à jour le système d’exploitation de cet appareil.
remedy-update-named-os = Mettez à jour { $platform }. Cet appareil indique { $version }.
remedy-later = Vous pourrez de nouveau ouvrir cette application à partir de { $time }.
remedy-desktop-or-mobile = Ouvrez-la dans l’application de bureau ou mobile plutôt que dans le navigateur.
remedy-browser = Ouvrez-la dans un navigateur plutôt que dans ce programme.
remedy-stronger = Reconnectez-vous avec une méthode plus forte.
remedy-sign-in-again = Reconnectez-vous.
remedy-password = Changez votre mot de passe, puis reconnectez-vous.
remedy-interaction = Reconnectez-vous et suivez les étapes demandées.
remedy-other-flow = Connectez-vous directement sur cet appareil, sans code et sans transfert depuis un autre appareil.
remedy-administrator = Seul un administrateur peut changer cela.

reason-assignment = Ce compte n’est pas affecté à l’application.
reason-location = Le réseau ou le lieu depuis lequel vous vous connectez.
reason-platform = Le système d’exploitation de cet appareil, ou sa version.
reason-client-app = Le type de programme que vous utilisez.
reason-device = L’appareil que vous utilisez.
reason-device-compliance = L’appareil ne répond pas aux exigences de votre organisation.
reason-device-unknown = Aucune identité d’appareil n’accompagnait la requête.
reason-device-joined = L’appareil n’est pas géré par votre organisation.
reason-client-approved = Le programme ne fait pas partie de ceux qui sont approuvés.
reason-client-protected = Le programme n’est pas protégé par votre organisation.
reason-flow = Cette façon de se connecter n’est pas autorisée pour cette application.
reason-policy = Une règle de votre organisation.
reason-groups = Votre service de connexion n’a pas indiqué à quels groupes vous appartenez.
reason-authentication = La méthode de votre connexion n’est pas assez forte.
reason-not-provable = Votre service de connexion n’indique pas comment vous vous êtes connecté.
reason-session = Votre connexion est trop ancienne.
reason-password = Votre mot de passe doit être changé.
reason-interaction = Une étape de la connexion reste à faire.
reason-unavailable = Une information nécessaire à la décision n’est pas disponible pour le moment.

action-sign-in = Se connecter
action-sign-in-again = Se reconnecter
action-other-account = Se connecter avec un autre compte
action-try-again = Réessayer
action-fix-device = Corriger cet appareil
action-mail = Écrire à { $address }
action-help = Ouvrir la page d’aide

contact = Contact
