//! Header names that only a proxy may say. Apps and frameworks believe them, so that what a client sends
//! under one of them never reaches an app; here because both the check of an app's `allow-headers` and the
//! proxy read the list.
//!
//! A name ends in `*` where everything that begins so belongs to one family. Names compare without case, and
//! every sign that is no letter or digit counts as `-`: CGI, WSGI and PHP make one name of `X_User`, `X-User`
//! and `X.User`.

/// What a reserved name would do in a client's hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// It changes which resource or method the app serves after the policies judged, frames the message, or
    /// says what Portcullis itself says. No app can allow it.
    Judged,
    /// It says who the user is, or that somebody has checked that.
    Identity,
    /// It says where the request comes from or how: address, scheme, host, port.
    Origin,
}

/// A reserved name, or a family of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// Lower case, with `-` between words; ends in `*` where it is a family.
    pub name: &'static str,
    /// What it would do.
    pub harm: Harm,
    /// Who believes it.
    pub why: &'static str,
}

const fn judged(name: &'static str, why: &'static str) -> Reserved {
    Reserved { name, harm: Harm::Judged, why }
}

const fn identity(name: &'static str, why: &'static str) -> Reserved {
    Reserved { name, harm: Harm::Identity, why }
}

const fn origin(name: &'static str, why: &'static str) -> Reserved {
    Reserved { name, harm: Harm::Origin, why }
}

/// Every reserved name. Of two that fit, the first counts.
pub const RESERVED: &[Reserved] = &[
    // Another method or resource than the policies judged.
    judged("x-http-method-override", "Rails, Laravel, Symfony, Express method-override, Google APIs"),
    judged("x-http-method", "Microsoft WCF and OData, method-override"),
    judged("x-method-override", "IBM API gateways, method-override"),
    judged("x-override-method", "method-override middlewares"),
    judged("x-original-method", "nginx ingress, Symfony"),
    judged("x-original-url", "IIS URL Rewrite, Symfony, Zend"),
    judged("x-original-uri", "nginx auth_request examples, oauth2-proxy"),
    judged("x-original-path", "Envoy and gateway filters"),
    judged("x-rewrite-*", "IIS and Zend take the path from X-Rewrite-URL"),
    judged("x-forwarded-uri", "Traefik and Caddy forward-auth, oauth2-proxy"),
    judged("x-forwarded-method", "Traefik and Caddy forward-auth"),
    judged("x-forwarded-path", "gateways"),
    judged("x-envoy-original-path", "Envoy's path before a rewrite"),
    judged("x-waws-unencoded-url", "Azure App Service: the path as received"),
    judged("x-ms-endpoint-absolute-path", "AD FS behind Web Application Proxy"),
    judged("path-info", "gunicorn takes it for PATH_INFO"),
    judged("script-name", "gunicorn and CGI gateways take it for SCRIPT_NAME"),
    judged("x-script-name", "WSGI prefix middlewares"),
    judged("x-middleware-*", "Next.js: subrequests skip its middleware (CVE-2025-29927)"),
    judged("x-invoke-*", "Next.js: which page is rendered"),
    judged("x-matched-path", "Next.js: which route was matched"),
    judged("x-now-route-matches", "Next.js on Vercel: parameters of the route"),
    judged("x-sendfile-type", "Rack::Sendfile: which files the proxy in front sends"),
    judged("x-accel-*", "Rack::Sendfile and nginx: X-Accel-Mapping"),
    judged("x-apigateway-event", "serverless-express: the whole event"),
    judged("x-apigateway-context", "serverless-express: the whole context"),
    judged("x-amzn-request-context", "AWS Lambda Web Adapter: the whole request context"),
    judged("x-amzn-lambda-context", "AWS Lambda Web Adapter"),
    judged("trailer", "fields after the body are never passed on"),
    // `Proxy-Authorization` is a credential for the next proxy (RFC 9110, section 11.7.2); nobody verified it.
    judged("proxy*", "httpoxy (CVE-2016-5385); Proxy-Authorization, Proxy-Connection, Proxy-Client-IP"),
    judged("x-request-id", "ours: what page, log and support speak of"),
    // Where the request comes from.
    identity("x-forwarded-user*", "oauth2-proxy, Traefik, Jenkins, JupyterHub"),
    identity("x-forwarded-email*", "oauth2-proxy"),
    identity("x-forwarded-group*", "oauth2-proxy, Jenkins, SonarQube"),
    identity("x-forwarded-preferred-username", "oauth2-proxy"),
    identity("x-forwarded-access-token", "oauth2-proxy, Streamlit"),
    identity("x-forwarded-login", "SonarQube"),
    identity("x-forwarded-name", "SonarQube"),
    identity("x-forwarded-client-cert*", "Envoy (XFCC), Istio, Spring Cloud"),
    identity("x-forwarded-tls-client-cert*", "Traefik's PassTLSClientCert"),
    judged("x-forwarded-for", "ours: the client's address as decided on"),
    judged("x-forwarded-host", "ours"),
    judged("x-forwarded-proto", "ours"),
    judged("x-forwarded-port", "ours"),
    origin("x-forward*", "proxies of all makes: -Prefix, -Server, -Ssl, -Scheme, -Protocol, X-Forward-For …"),
    judged("forwarded", "RFC 7239; Portcullis reads it, apps receive X-Forwarded-*"),
    origin("forwarded-*", "CGI-like scripts: Forwarded-For, Forwarded-Proto"),
    origin("x-real-*", "nginx examples: X-Real-IP; we say X-Forwarded-For"),
    origin("x-original-*", "ASP.NET Core (-For, -Proto, -Host), nginx ingress (X-Original-Forwarded-For)"),
    origin("client-ip", "Rails' RemoteIp, PHP"),
    origin("x-client-ip", "Azure, Apache mod_remoteip, Express helpers"),
    origin("x-clientip", "older balancers"),
    origin("x-cluster-client-ip", "Rackspace, Riverbed"),
    origin("x-originating-ip", "Exchange, mail front ends"),
    origin("x-source-ip", "balancers"),
    origin("x-proxyuser-ip", "Google front ends"),
    origin("true-client-ip", "Akamai, Cloudflare Enterprise"),
    origin("x-true-client-ip", "Akamai"),
    origin("z-forwarded-for", "proxies that avoid X-Forwarded-For"),
    origin("x-host", "frameworks that look for the public host"),
    origin("x-host-override", "the same"),
    origin("x-http-host-override", "Joomla, .NET middlewares"),
    origin("x-scheme", "nginx ingress, WSGI middlewares"),
    origin("x-proto", "older balancers"),
    origin("x-url-scheme", "Ruby's Rack, HAProxy examples"),
    origin("front-end-https", "Exchange and Microsoft's ISA Server"),
    origin("x-https", "older balancers"),
    origin("https", "PHP apps read HTTP_HTTPS"),
    origin("x-ssl", "older balancers"),
    origin("x-secure", "older balancers"),
    origin("x-arr-*", "IIS Application Request Routing, Azure App Service: -SSL, -ClientCert"),
    origin("x-azure-*", "Azure Front Door: -ClientIP, -SocketIP, -FDID"),
    origin("x-waws-*", "Azure App Service"),
    origin("disguised-host", "Azure App Service"),
    origin("x-ms-forwarded-client-ip", "AD FS, Exchange"),
    origin("x-ms-proxy", "AD FS: that Web Application Proxy is in front"),
    origin("fastly-*", "Fastly: -Client-IP, -SSL, -FF"),
    origin("akamai-*", "Akamai"),
    origin("x-akamai-*", "Akamai: X-Akamai-Edgescape"),
    origin("incap-*", "Imperva: Incap-Client-IP"),
    origin("x-sucuri-*", "Sucuri: -ClientIP, -Country"),
    origin("do-connecting-ip", "DigitalOcean"),
    origin("fly-*", "Fly.io: -Client-IP, -Forwarded-Proto"),
    origin("x-vercel-*", "Vercel: -Forwarded-For, -IP-Country, -Proxied-For"),
    origin("x-nf-*", "Netlify: -Client-Connection-IP, -Account-ID"),
    origin("cloudfront-*", "Amazon CloudFront: -Viewer-Address, -Viewer-Country, -Forwarded-Proto"),
    origin("wl-proxy-*", "Oracle WebLogic: -Client-IP, -SSL, -Client-Cert"),
    origin("$ws*", "IBM WebSphere's private headers: $WSRA, $WSCC, $WSRU"),
    // Who the user is, as proxies say it.
    identity("cf-access-*", "Cloudflare Access: -Authenticated-User-Email, -Jwt-Assertion"),
    origin("cf-*", "Cloudflare: -Connecting-IP, -IPCountry, -Visitor, -Worker"),
    identity("x-portcullis-assertion", "ours: apps that look for who asks in an assertion"),
    identity("x-auth-request-*", "oauth2-proxy behind nginx's auth_request"),
    identity("x-auth-user*", "Keycloak Gatekeeper: -Username, -Userid"),
    identity("x-auth-email", "Keycloak Gatekeeper"),
    identity("x-auth-name", "Keycloak Gatekeeper"),
    identity("x-auth-groups", "Keycloak Gatekeeper"),
    identity("x-auth-roles", "Keycloak Gatekeeper"),
    identity("x-auth-subject", "Keycloak Gatekeeper"),
    identity("x-authenticated-*", "Kong (-Userid, -Groups, -Scope), GeoServer, Apache examples"),
    identity("x-authelia-*", "Authelia"),
    identity("x-authentik-*", "authentik: -Username, -Groups, -Jwt, -Meta-…"),
    identity("x-pomerium-*", "Pomerium: -Jwt-Assertion, -Claim-…"),
    identity("x-vouch-*", "Vouch Proxy: -User, -IdP-Claims-…"),
    identity("x-token-*", "caddy-security: -User-Email, -User-Roles, -Subject"),
    identity("remote-*", "Authelia (Remote-User, -Groups, -Email), CGI, Django's RemoteUserMiddleware"),
    identity("x-remote-*", "Kubernetes' front proxy (-User, -Group, -Extra-…), Zoraxy, Artifactory"),
    identity("x-webauth*", "Grafana's auth proxy, Gitea: -User, -Email, -Groups, -Role"),
    identity("x-proxy-*", "OpenSearch and Search Guard proxy authentication: -User, -Roles"),
    identity("x-sso-*", "Sonatype Nexus and others with a single sign-on in front"),
    identity("x-saml-*", "SAML gateways"),
    identity("x-oidc-*", "OpenID Connect gateways"),
    identity("oidc-*", "Apache mod_auth_openidc: OIDC_CLAIM_…, OIDC_access_token"),
    identity("x-userinfo", "lua-resty-openidc, Apache APISIX, Kong"),
    identity("x-id-token", "lua-resty-openidc, Apache APISIX, Grafana"),
    identity("x-jwt-assertion", "WSO2 API Manager"),
    identity("x-jwt-payload", "Envoy and Istio: the payload of a verified token"),
    identity("x-jwt-claim*", "Istio: claims to headers"),
    identity("x-consumer-*", "Kong: -ID, -Username, -Groups"),
    identity(
        "x-scope-orgid",
        "Grafana Loki, Mimir and Tempo: the tenant, which only the proxy in front may say",
    ),
    identity("x-proxiedentitieschain", "Apache NiFi: who asks, through which proxies"),
    identity("x-anonymous-consumer", "Kong"),
    identity("x-credential-*", "Kong, Apache APISIX"),
    identity("x-envoy-*", "Envoy: -External-Address, -Internal, -Peer-Metadata"),
    identity("x-goog-authenticated-user-*", "Google Identity-Aware Proxy: -Email, -ID"),
    identity("x-goog-iap-*", "Google Identity-Aware Proxy: -Jwt-Assertion"),
    identity("x-appengine-*", "Google App Engine: -User-Email, -User-Is-Admin, -Cron, -Inbound-Appid"),
    identity("x-apigateway-api-userinfo", "Google API Gateway"),
    identity("x-endpoint-api-userinfo", "Google Cloud Endpoints"),
    identity("x-serverless-authorization", "Google Cloud Run takes it for Authorization"),
    identity("x-amzn-oidc-*", "AWS Application Load Balancer: -Identity, -Data, -AccessToken"),
    identity("x-amzn-mtls-*", "AWS Application Load Balancer: the client's certificate"),
    identity("x-ms-client-principal*", "Azure App Service authentication: -ID, -Name, -IDP"),
    identity("x-ms-token-*", "Azure App Service authentication: tokens of the user"),
    identity("ms-aspnetcore-*", "ASP.NET Core behind IIS: -ClientCert, -WinAuthToken, -User"),
    identity("x-iis-*", "IIS HttpPlatformHandler: X-IIS-WindowsAuthToken"),
    identity("tailscale-*", "Tailscale Serve: -User-Login, -User-Name, -App-Capabilities"),
    identity("teleport-*", "Teleport application access: -Jwt-Assertion"),
    identity("ngrok-auth-*", "ngrok: -User-Email, -User-ID"),
    identity("kubeflow-*", "Kubeflow: -Userid, -Groups"),
    identity("sm-*", "SiteMinder (SM_USER, SM_UNIVERSALID), Spring Security's default"),
    identity("iv-*", "IBM WebSEAL: -User, -Groups, -Creds"),
    identity("oam-*", "Oracle Access Manager: OAM_REMOTE_USER"),
    identity("osso-*", "Oracle single sign-on"),
    identity("shib-*", "Shibboleth: -Session-ID, -Identity-Provider"),
    identity("eppn", "Shibboleth attributes as headers"),
    identity("cas-*", "Apache mod_auth_cas: CAS-User"),
    identity("ssl-*", "nginx ingress, Tomcat's SSLValve, Keycloak: -Client-Cert, -Client-Verify"),
    identity("x-ssl-*", "HAProxy and nginx examples: -Client-Verify, -Client-S-DN"),
    identity("x-tls-*", "balancers: what was in the client's certificate"),
    identity("client-cert*", "RFC 9440: Client-Cert, Client-Cert-Chain"),
    identity("x-client-cert*", "balancers, Keycloak"),
    identity("x-client-verify", "nginx examples"),
    identity("x-client-dn", "nginx examples"),
    identity("x-user", "examples of Ory Oathkeeper, heimdall, Envoy and Portcullis"),
    identity("x-user-id", "the same"),
    identity("x-userid", "the same"),
    identity("x-username", "the same"),
    identity("x-user-name", "the same"),
    identity("x-user-email", "the same"),
    identity("x-user-groups", "the same"),
    identity("x-user-roles", "the same"),
    identity("x-email", "the same"),
    identity("x-groups", "the same"),
    identity("x-roles", "the same"),
];

impl Reserved {
    /// Whether everything that begins so belongs to it, and what that is.
    #[must_use]
    pub fn family(&self) -> Option<&'static str> {
        self.name.strip_suffix('*')
    }

    fn covers(&self, folded: &str) -> bool {
        match self.family() {
            Some(prefix) => folded.starts_with(&fold(prefix)),
            None => fold(self.name) == folded,
        }
    }
}

/// A name as careless readers take it.
#[must_use]
pub fn fold(name: &str) -> String {
    name.bytes().map(|byte| char::from(folded(byte))).collect()
}

/// A sign of a name as careless readers take it: CGI makes `_` of `-`, and some servers do so with every
/// sign that is no letter or digit.
#[must_use]
pub const fn folded(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }
}

/// What reserves this name, if anything does.
#[must_use]
pub fn reserved(name: &str) -> Option<&'static Reserved> {
    let folded = fold(name);
    RESERVED.iter().find(|reserved| reserved.covers(&folded))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Harm, RESERVED, fold, reserved};

    #[test]
    fn every_reserved_name_is_written_once_and_says_who_believes_it() {
        let mut seen = BTreeSet::new();
        for entry in RESERVED {
            let name = entry.name;
            assert!(seen.insert(name), "{name} is there twice");
            assert!(entry.why.len() > 3, "{name} has no reason");
            assert_eq!(name, name.to_ascii_lowercase(), "{name}");
            assert!(name.len() <= 64 && !name.contains('_'), "{name}");
            assert!(entry.family().unwrap_or(name).len() > 2, "{name} would take too much");
        }
    }

    #[test]
    fn no_name_stands_behind_a_family_that_covers_it_already() {
        for (at, entry) in RESERVED.iter().enumerate() {
            let before = RESERVED.iter().take(at).filter_map(super::Reserved::family);
            for family in before {
                assert!(!fold(entry.name).starts_with(&fold(family)), "{} is in {family}*", entry.name);
            }
        }
    }

    #[test]
    fn a_name_is_known_in_any_spelling() {
        for name in ["X-Forwarded-Email", "x_forwarded_email", "X.FORWARDED~EMAIL"] {
            assert_eq!(reserved(name).map(|entry| entry.harm), Some(Harm::Identity), "{name}");
        }
        assert_eq!(reserved("Cf-Ray").map(|entry| entry.harm), Some(Harm::Origin));
        assert_eq!(reserved("X-Forwarded-For").map(|entry| entry.harm), Some(Harm::Judged));
        assert_eq!(reserved("$WSCC").map(|entry| entry.harm), Some(Harm::Origin));
    }

    #[test]
    fn what_clients_and_apps_say_to_each_other_is_not_reserved() {
        for name in [
            "Accept",
            "Accept-Language",
            "Authorization",
            "Cache-Control",
            "Connection",
            "Content-Type",
            "Cookie",
            "Host",
            "If-None-Match",
            "Origin",
            "Pragma",
            "Priority",
            "Range",
            "Referer",
            "Sec-Fetch-Mode",
            "TE",
            "Upgrade",
            "User-Agent",
            "Via",
            "traceparent",
            "tracestate",
            "baggage",
            "b3",
            "X-Requested-With",
            "X-CSRF-Token",
            "X-XSRF-Token",
            "X-Api-Key",
            "X-Auth-Token",
            "X-Amz-Date",
            "X-Amzn-Trace-Id",
            "X-Cloud-Trace-Context",
            "X-Correlation-Id",
            "X-Client-Version",
            "X-Client-Data",
            "X-GitHub-Event",
            "X-Gitlab-Token",
            "Private-Token",
            "X-Grafana-Org-Id",
            "X-Vault-Token",
            "X-Userx",
            "X-Registry-Auth",
            "Docker-Content-Digest",
            "Npm-Command",
            "Git-Protocol",
            "Grpc-Timeout",
            "Destination",
            "Depth",
            "X-Upload-Content-Length",
            "Tus-Resumable",
            "Sentry-Trace",
            "DNT",
            "HX-Request",
            "X-Inertia",
            "Turbo-Frame",
            "X-Socket-Id",
            "X-NextJS-Data",
            "RSC",
            "Next-Action",
            "kbn-xsrf",
            "X-Atlassian-Token",
            "X-Forms-Based-Auth-Accepted",
            "X-Ms-Date",
            "X-Ms-Version",
            "Idempotency-Key",
            "Last-Event-ID",
            "Sec-WebSocket-Key",
            "Save-Data",
            "X-Goog-Upload-Command",
        ] {
            assert_eq!(reserved(name), None, "{name}");
        }
    }
}
