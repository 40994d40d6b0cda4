# Italiano

headline-context = Al momento non è possibile aprire { $app } da qui
headline-context-nameless = Al momento non è possibile aprire questa app da qui
headline-account = Non è possibile aprire { $app } con questo account
headline-account-nameless = Non è possibile aprire questa app con questo account
headline-reauthenticate = Accedi di nuovo per aprire { $app }
headline-reauthenticate-nameless = Accedi di nuovo per aprire questa app
headline-unavailable = Al momento non è possibile aprire { $app }
headline-unavailable-nameless = Al momento non è possibile aprire questa app
headline-sign-in = Accedi per continuare
headline-sign-in-again = Accedi di nuovo per continuare
headline-bad-request = Questa richiesta non può essere accettata
headline-no-app = Non c’è nulla a questo indirizzo
headline-too-large = Questo invio è troppo grande
headline-too-slow = Questo caricamento è troppo lento
headline-limited = Troppe richieste
headline-fault = Qualcosa è andato storto da parte nostra

signed-in-as = Hai eseguito l’accesso come { $user }.
lead-context = L’accesso è riuscito, ma non soddisfa i criteri per accedere a questa risorsa. Il problema non è la password.
lead-account = L’accesso è riuscito, ma questo account non è assegnato all’app. Il problema non è la password.
lead-reauthenticate = L’accesso è riuscito, ma questa risorsa richiede un ulteriore passaggio.
lead-unavailable = Qualcosa di necessario per decidere non ha risposto. Non hai fatto nulla di sbagliato.
lead-fault = Non hai fatto nulla di sbagliato.
lead-upstream = L’accesso è stato concesso, ma l’app non ha risposto.
lead-groups = L’accesso è riuscito, ma il servizio di accesso non ha indicato a quali gruppi appartieni, e questo è necessario per decidere. Il problema non è la password.
lead-certificate-missing = L’accesso è riuscito, ma questa app chiede anche un certificato client e il browser non ne ha presentato alcuno. Chiudi il browser, riaprilo e scegli il tuo certificato quando te lo chiede.
lead-certificate-untrusted = L’accesso è riuscito, ma questa app non accetta il certificato client presentato dal browser. Chiudi il browser, riaprilo e scegline un altro.
lead-certificate-revoked = L’accesso è riuscito, ma il tuo certificato client è stato revocato. Te ne serve uno nuovo.
lead-certificate-expired = L’accesso è riuscito, ma il tuo certificato client non è valido in questo momento. Rinnovalo o chiedine uno nuovo.
lead-sign-in = Questo indirizzo è riservato a chi ha eseguito l’accesso.
lead-sign-in-again = La sessione è terminata o non può essere usata qui.
lead-bad-request = È incompleta o si può leggere in più di un modo.
lead-misdirected = È arrivata su una connessione aperta per un altro indirizzo. Ricarica la pagina.
lead-no-app = Controlla che l’indirizzo non contenga errori di battitura.
lead-too-large = È più grande di quanto si accetta qui.
lead-too-slow = Ne arrivava così poco che è stato interrotto.
lead-limited-tokens = Dal suo indirizzo di rete sono arrivati troppi accessi non validi, perciò il suo non è stato verificato.
lead-limited-address = Dal suo indirizzo di rete sono arrivate più richieste di quante questa applicazione ne accetti in quel tempo.
lead-limited-principal = Dal suo account sono arrivate più richieste di quante questa applicazione ne accetti in quel tempo.

verdict-structural = È una regola della tua organizzazione, non un guasto. Riprovare, svuotare la cache o reinstallare non cambierà nulla.
verdict-groups = Aspettare o riprovare non cambierà nulla: il servizio di accesso deve essere configurato in modo da indicare i tuoi gruppi.
verdict-reauthenticate = È una regola della tua organizzazione, non un guasto. Un nuovo accesso che la soddisfa apre l’app.
verdict-temporary = È un guasto da parte nostra. Di solito passa; riprova tra { $minutes ->
    [one] { $minutes } minuto
   *[other] { $minutes } minuti
}.
verdict-limited = Passa da sé: attenda un momento, poi riprovi.
verdict-repeated = Rifiutato { $count } volte in { $window } minuti; riprovare non cambierà nulla.
verdict-repeated-often = Rifiutato più di { $count } volte in { $window } minuti; riprovare non cambierà nulla.

heading-remedies = Che cosa puoi fare
heading-reasons = Che cosa non soddisfa i criteri
heading-operator = Dalla tua organizzazione
heading-details = Dettagli
heading-report = Per l’assistenza
report-hint = Copia questo testo quando chiedi aiuto. Non contiene né il tuo nome né il tuo indirizzo.
actions-label = Azioni
languages-label = Lingua
copy = Copia questo testo
copied = Copiato.

remedy-together = Tutto questo insieme:
remedy-other-network = Connettiti da una rete approvata, oppure disattiva la VPN o il proxy.
seen-at = Ti vediamo da { $address }.
seen-at-country = Ti vediamo da { $address }, { $country } (approssimativo).
remedy-compliant-device = Usa un dispositivo gestito dalla tua organizzazione e conforme ai suoi requisiti.
remedy-hybrid-device = Usa un dispositivo aggiunto al dominio della tua organizzazione.
remedy-registered-device = Usa un dispositivo registrato presso la tua organizzazione.
device-not-shown = Questo browser non ha mostrato un’identità del dispositivo: usa una finestra normale, non privata, di un browser supportato.
device-not-shown-by-client = Con questo accesso non è arrivata alcuna identità del dispositivo: usa un client che accede con l’identità del dispositivo.
device-not-compliant = Questo dispositivo è registrato, ma non soddisfa i requisiti.
device-unregistered = Questo dispositivo non è registrato.
remedy-update-os = Aggiorna il sistema operativo di questo dispositivo.
remedy-update-named-os = Aggiorna { $platform }. Questo dispositivo indica { $version }.
remedy-later = Potrai aprire di nuovo questa app a partire da { $time }.
remedy-desktop-or-mobile = Aprila nell’app desktop o mobile anziché nel browser.
remedy-browser = Aprila in un browser anziché in questo programma.
remedy-stronger = Accedi di nuovo con un metodo più sicuro.
remedy-sign-in-again = Accedi di nuovo.
remedy-password = Cambia la password, poi accedi di nuovo.
remedy-interaction = Accedi di nuovo e completa i passaggi richiesti.
remedy-other-flow = Accedi direttamente su questo dispositivo, non con un codice né tramite trasferimento da un altro dispositivo.
remedy-administrator = Solo un amministratore può cambiarlo.

reason-assignment = Questo account non è assegnato all’app.
reason-location = La rete o il luogo da cui ti connetti.
reason-platform = Il sistema operativo di questo dispositivo o la sua versione.
reason-client-app = Il tipo di programma che usi.
reason-device = Il dispositivo che usi.
reason-device-compliance = Il dispositivo non soddisfa i requisiti della tua organizzazione.
reason-device-unknown = Con la richiesta non è arrivata alcuna identità del dispositivo.
reason-device-joined = Il dispositivo non è gestito dalla tua organizzazione.
reason-client-approved = Il programma non è tra quelli approvati.
reason-client-protected = Il programma non è protetto dalla tua organizzazione.
reason-flow = Questo modo di accedere non è consentito per questa app.
reason-policy = Una regola della tua organizzazione.
reason-groups = Il servizio di accesso non ha indicato a quali gruppi appartieni.
reason-authentication = Il metodo del tuo accesso non è abbastanza sicuro.
reason-not-provable = Il tuo servizio di accesso non indica come hai effettuato l’accesso.
reason-session = Il tuo accesso risale a troppo tempo fa.
reason-password = La password deve essere cambiata.
reason-interaction = Un passaggio dell’accesso è ancora da completare.
reason-unavailable = Un dato necessario per decidere al momento non è disponibile.

action-sign-in = Accedi
action-sign-in-again = Accedi di nuovo
action-other-account = Accedi con un altro account
action-try-again = Riprova
action-fix-device = Sistema questo dispositivo
action-mail = Scrivi a { $address }
action-help = Apri la pagina di aiuto

contact = Contatto
