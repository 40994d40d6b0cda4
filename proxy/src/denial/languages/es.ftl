# Español

headline-context = No puede abrir { $app } desde aquí en este momento
headline-context-nameless = No puede abrir esta aplicación desde aquí en este momento
headline-account = No puede abrir { $app } con esta cuenta
headline-account-nameless = No puede abrir esta aplicación con esta cuenta
headline-reauthenticate = Vuelva a iniciar sesión para abrir { $app }
headline-reauthenticate-nameless = Vuelva a iniciar sesión para abrir esta aplicación
headline-unavailable = { $app } no se puede abrir en este momento
headline-unavailable-nameless = Esta aplicación no se puede abrir en este momento
headline-sign-in = Inicie sesión para continuar
headline-sign-in-again = Vuelva a iniciar sesión para continuar
headline-bad-request = Esta solicitud no se puede aceptar
headline-no-app = No hay nada en esta dirección
headline-too-large = Este envío es demasiado grande
headline-too-slow = Esta subida es demasiado lenta
headline-limited = Demasiadas solicitudes
headline-fault = Algo ha fallado por nuestra parte

signed-in-as = Ha iniciado sesión como { $user }.
lead-context = El inicio de sesión se ha realizado correctamente, pero no cumple los criterios para acceder a este recurso. Su contraseña no es el problema.
lead-account = El inicio de sesión se ha realizado correctamente, pero esta cuenta no está asignada a la aplicación. Su contraseña no es el problema.
lead-reauthenticate = El inicio de sesión se ha realizado correctamente, pero este recurso pide un paso más.
lead-unavailable = Algo necesario para decidir no ha respondido. Usted no ha hecho nada mal.
lead-fault = Usted no ha hecho nada mal.
lead-upstream = Se le ha dado acceso, pero la aplicación no ha respondido.
lead-groups = El inicio de sesión se ha realizado correctamente, pero el servicio de inicio de sesión no ha indicado a qué grupos pertenece, y eso es necesario para decidir. Su contraseña no es el problema.
lead-certificate-missing = El inicio de sesión se ha realizado correctamente, pero esta aplicación también pide un certificado de cliente y su navegador no ha presentado ninguno. Cierre el navegador, ábralo de nuevo y elija su certificado cuando se lo pida.
lead-certificate-untrusted = El inicio de sesión se ha realizado correctamente, pero esta aplicación no acepta el certificado de cliente que ha presentado su navegador. Cierre el navegador, ábralo de nuevo y elija otro.
lead-certificate-revoked = El inicio de sesión se ha realizado correctamente, pero su certificado de cliente ha sido revocado. Necesita uno nuevo.
lead-certificate-expired = El inicio de sesión se ha realizado correctamente, pero su certificado de cliente no es válido en este momento. Renuévelo o pida uno nuevo.
lead-sign-in = Esta dirección es para personas que han iniciado sesión.
lead-sign-in-again = Su sesión ha terminado o no se puede usar aquí.
lead-bad-request = Está incompleta o se puede leer de más de una manera.
lead-misdirected = Ha llegado por una conexión abierta para otra dirección. Vuelva a cargar la página.
lead-no-app = Compruebe que la dirección no tenga errores.
lead-too-large = Es mayor de lo que se acepta aquí.
lead-too-slow = Llegaba tan poco que se interrumpió.
lead-limited-tokens = Llegaron demasiados inicios de sesión no válidos desde su dirección de red, por lo que el suyo no se comprobó.
lead-limited-address = Llegaron desde su dirección de red más solicitudes de las que esta aplicación acepta en ese tiempo.
lead-limited-principal = Llegaron desde su cuenta más solicitudes de las que esta aplicación acepta en ese tiempo.

verdict-structural = Es una regla de su organización, no un fallo. Volver a intentarlo, vaciar la caché o reinstalar no lo cambiará.
verdict-groups = Esperar o volver a intentarlo no lo cambiará: hay que configurar el servicio de inicio de sesión para que indique sus grupos.
verdict-reauthenticate = Es una regla de su organización, no un fallo. Un nuevo inicio de sesión que la cumpla abre la aplicación.
verdict-temporary = Es un fallo por nuestra parte. Suele pasar solo; vuelva a intentarlo en { $minutes ->
    [one] { $minutes } minuto
   *[other] { $minutes } minutos
}.
verdict-limited = Se resuelve por sí solo: espere un momento y vuelva a intentarlo.
verdict-repeated = Rechazado { $count } veces en { $window } minutos; volver a intentarlo no lo cambiará.
verdict-repeated-often = Rechazado más de { $count } veces en { $window } minutos; volver a intentarlo no lo cambiará.

heading-remedies = Qué puede hacer
heading-reasons = Qué no cumple los criterios
heading-operator = De su organización
heading-details = Detalles
heading-report = Para su servicio de asistencia
report-hint = Copie este texto cuando pida ayuda. No contiene su nombre ni su dirección.
actions-label = Acciones
languages-label = Idioma
copy = Copiar este texto
copied = Copiado.

remedy-together = Todo esto a la vez:
remedy-other-network = Conéctese desde una red aprobada, o desactive su VPN o proxy.
seen-at = Le vemos en { $address }.
seen-at-country = Le vemos en { $address }, { $country } (aproximado).
remedy-compliant-device = Use un dispositivo que administre su organización y que cumpla sus requisitos.
remedy-hybrid-device = Use un dispositivo unido al dominio de su organización.
remedy-registered-device = Use un dispositivo registrado en su organización.
device-not-shown = Este navegador no ha mostrado una identidad de dispositivo: use una ventana normal, no privada, de un navegador compatible.
device-not-shown-by-client = Este inicio de sesión no traía una identidad de dispositivo: use un cliente que inicie sesión con la identidad del dispositivo.
device-not-compliant = Este dispositivo está registrado, pero no cumple los requisitos.
device-unregistered = Este dispositivo no está registrado.
remedy-update-os = Actualice el sistema operativo de este dispositivo.
remedy-update-named-os = Actualice { $platform }. Este dispositivo indica { $version }.
remedy-later = Podrá volver a abrir esta aplicación a partir de { $time }.
remedy-desktop-or-mobile = Ábrala en la aplicación de escritorio o móvil en lugar del navegador.
remedy-browser = Ábrala en un navegador en lugar de este programa.
remedy-stronger = Vuelva a iniciar sesión con un método más seguro.
remedy-sign-in-again = Vuelva a iniciar sesión.
remedy-password = Cambie su contraseña y vuelva a iniciar sesión.
remedy-interaction = Vuelva a iniciar sesión y complete los pasos que se le pidan.
remedy-other-flow = Inicie sesión directamente en este dispositivo, no con un código ni por transferencia desde otro dispositivo.
remedy-administrator = Solo un administrador puede cambiar esto.

reason-assignment = Esta cuenta no está asignada a la aplicación.
reason-location = La red o el lugar desde el que se conecta.
reason-platform = El sistema operativo de este dispositivo o su versión.
reason-client-app = El tipo de programa que usa.
reason-device = El dispositivo que usa.
reason-device-compliance = El dispositivo no cumple los requisitos de su organización.
reason-device-unknown = La solicitud no traía ninguna identidad de dispositivo.
reason-device-joined = El dispositivo no está administrado por su organización.
reason-client-approved = El programa no es uno de los aprobados.
reason-client-protected = El programa no está protegido por su organización.
reason-flow = Esta forma de iniciar sesión no está permitida para esta aplicación.
reason-policy = Una regla de su organización.
reason-groups = El servicio de inicio de sesión no ha indicado a qué grupos pertenece.
reason-authentication = El método de su inicio de sesión no es lo bastante seguro.
reason-not-provable = Su servicio de inicio de sesión no indica cómo inició sesión.
reason-session = Su inicio de sesión es demasiado antiguo.
reason-password = Debe cambiar su contraseña.
reason-interaction = Queda un paso pendiente del inicio de sesión.
reason-unavailable = Un dato necesario para decidir no está disponible en este momento.

action-sign-in = Iniciar sesión
action-sign-in-again = Volver a iniciar sesión
action-other-account = Iniciar sesión con otra cuenta
action-try-again = Volver a intentarlo
action-fix-device = Arreglar este dispositivo
action-mail = Escribir a { $address }
action-help = Abrir la página de ayuda

contact = Contacto
