# Português (Brasil)

headline-context = Você não pode abrir { $app } daqui no momento
headline-context-nameless = Você não pode abrir este aplicativo daqui no momento
headline-account = Você não pode abrir { $app } com esta conta
headline-account-nameless = Você não pode abrir este aplicativo com esta conta
headline-reauthenticate = Entre novamente para abrir { $app }
headline-reauthenticate-nameless = Entre novamente para abrir este aplicativo
headline-unavailable = Não é possível abrir { $app } no momento
headline-unavailable-nameless = Não é possível abrir este aplicativo no momento
headline-sign-in = Entre para continuar
headline-sign-in-again = Entre novamente para continuar
headline-bad-request = Esta solicitação não pode ser aceita
headline-no-app = Não há nada neste endereço
headline-too-large = Este envio é grande demais
headline-too-slow = Este envio está lento demais
headline-limited = Solicitações demais
headline-fault = Algo deu errado do nosso lado

signed-in-as = Você entrou como { $user }.
lead-context = A sua entrada foi bem-sucedida, mas não atende aos critérios para acessar este recurso. A sua senha não é o problema.
lead-account = A sua entrada foi bem-sucedida, mas esta conta não está atribuída ao aplicativo. A sua senha não é o problema.
lead-reauthenticate = A sua entrada foi bem-sucedida, mas este recurso pede mais uma etapa.
lead-unavailable = Algo necessário para decidir não respondeu. Você não fez nada de errado.
lead-fault = Você não fez nada de errado.
lead-upstream = O acesso foi liberado, mas o aplicativo não respondeu.
lead-groups = A sua entrada foi bem-sucedida, mas o serviço de entrada não informou a quais grupos você pertence, e isso é necessário para decidir. A sua senha não é o problema.
lead-certificate-missing = A sua entrada foi bem-sucedida, mas este aplicativo também pede um certificado de cliente e o seu navegador não apresentou nenhum. Feche o navegador, abra-o de novo e escolha o seu certificado quando ele pedir.
lead-certificate-untrusted = A sua entrada foi bem-sucedida, mas este aplicativo não aceita o certificado de cliente que o seu navegador apresentou. Feche o navegador, abra-o de novo e escolha outro.
lead-certificate-revoked = A sua entrada foi bem-sucedida, mas o seu certificado de cliente foi revogado. Você precisa de um novo.
lead-certificate-expired = A sua entrada foi bem-sucedida, mas o seu certificado de cliente não é válido neste momento. Renove-o ou peça um novo.
lead-sign-in = Este endereço é para pessoas que entraram com a sua conta.
lead-sign-in-again = A sua sessão terminou ou não pode ser usada aqui.
lead-bad-request = Ela está incompleta ou pode ser lida de mais de uma maneira.
lead-misdirected = Ela chegou por uma conexão aberta para outro endereço. Carregue a página de novo.
lead-no-app = Verifique se há erros de digitação no endereço.
lead-too-large = Ele é maior do que o aceito aqui.
lead-too-slow = Chegava tão pouco que ele foi interrompido.
lead-limited-tokens = Vieram do seu endereço de rede entradas inválidas demais, por isso a sua não foi verificada.
lead-limited-address = Vieram do seu endereço de rede mais solicitações do que este aplicativo aceita nesse tempo.
lead-limited-principal = Vieram da sua conta mais solicitações do que este aplicativo aceita nesse tempo.

verdict-structural = Esta é uma regra da sua organização, não uma falha. Tentar de novo, limpar o cache ou reinstalar não vai mudar isso.
verdict-groups = Esperar ou tentar de novo não vai mudar isso: o serviço de entrada precisa ser configurado para informar os seus grupos.
verdict-reauthenticate = Esta é uma regra da sua organização, não uma falha. Uma nova entrada que a atenda abre o aplicativo.
verdict-temporary = Esta é uma falha do nosso lado. Em geral ela passa; tente novamente em { $minutes ->
    [one] { $minutes } minuto
   *[other] { $minutes } minutos
}.
verdict-limited = Isso passa sozinho: espere um momento e tente de novo.
verdict-repeated = Recusado { $count } vezes em { $window } minutos; tentar de novo não vai mudar isso.
verdict-repeated-often = Recusado mais de { $count } vezes em { $window } minutos; tentar de novo não vai mudar isso.

heading-remedies = O que você pode fazer
heading-reasons = O que não atendeu aos critérios
heading-operator = Da sua organização
heading-details = Detalhes
heading-report = Para o seu suporte técnico
report-hint = Copie este texto quando pedir ajuda. Ele não contém o seu nome nem o seu endereço.
actions-label = Ações
languages-label = Idioma
copy = Copiar este texto
copied = Copiado.

remedy-together = Tudo isto ao mesmo tempo:
remedy-other-network = Conecte-se a partir de uma rede aprovada, ou desligue a sua VPN ou o seu proxy.
seen-at = Vemos você em { $address }.
seen-at-country = Vemos você em { $address }, { $country } (aproximado).
remedy-compliant-device = Use um dispositivo que a sua organização gerencia e que atende aos requisitos dela.
remedy-hybrid-device = Use um dispositivo que faz parte do domínio da sua organização.
remedy-registered-device = Use um dispositivo registrado na sua organização.
device-not-shown = Este navegador não mostrou uma identidade de dispositivo: use uma janela normal, não anônima, de um navegador compatível.
device-not-shown-by-client = Nenhuma identidade de dispositivo veio com esta entrada: use um cliente que entre com a identidade do dispositivo.
device-not-compliant = Este dispositivo está registrado, mas não atende aos requisitos.
device-unregistered = Este dispositivo não está registrado.
remedy-update-os = Atualize o sistema operacional deste dispositivo.
remedy-update-named-os = Atualize { $platform }. Este dispositivo informa { $version }.
remedy-later = Você poderá abrir este aplicativo novamente a partir de { $time }.
remedy-desktop-or-mobile = Abra-o no aplicativo para computador ou celular em vez do navegador.
remedy-browser = Abra-o em um navegador em vez deste programa.
remedy-stronger = Entre novamente com um método mais forte.
remedy-sign-in-again = Entre novamente.
remedy-password = Altere a sua senha e entre novamente.
remedy-interaction = Entre novamente e conclua as etapas solicitadas.
remedy-other-flow = Entre diretamente neste dispositivo, sem código e sem transferência a partir de outro dispositivo.
remedy-administrator = Só um administrador pode mudar isso.

reason-assignment = Esta conta não está atribuída ao aplicativo.
reason-location = A rede ou o lugar de onde você se conecta.
reason-platform = O sistema operacional deste dispositivo ou a sua versão.
reason-client-app = O tipo de programa que você usa.
reason-device = O dispositivo que você usa.
reason-device-compliance = O dispositivo não atende aos requisitos da sua organização.
reason-device-unknown = Nenhuma identidade de dispositivo veio com a solicitação.
reason-device-joined = O dispositivo não é gerenciado pela sua organização.
reason-client-approved = O programa não é um dos aprovados.
reason-client-protected = O programa não está protegido pela sua organização.
reason-flow = Esta forma de entrar não é permitida para este aplicativo.
reason-policy = Uma regra da sua organização.
reason-groups = O serviço de entrada não informou a quais grupos você pertence.
reason-authentication = O método da sua entrada não é forte o bastante.
reason-not-provable = Seu serviço de entrada não informa como você entrou.
reason-session = A sua entrada foi há tempo demais.
reason-password = A sua senha precisa ser alterada.
reason-interaction = Ainda falta uma etapa da entrada.
reason-unavailable = Uma informação necessária para decidir não está disponível no momento.

action-sign-in = Entrar
action-sign-in-again = Entrar novamente
action-other-account = Entrar com outra conta
action-try-again = Tentar novamente
action-fix-device = Corrigir este dispositivo
action-mail = Escrever para { $address }
action-help = Abrir a página de ajuda

contact = Contato
