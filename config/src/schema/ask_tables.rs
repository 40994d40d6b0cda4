//! The keys of a question to the policies, of a file of cases, and of the body that Graph takes for the
//! same question (`conditionalAccess/evaluate`).

use super::{Form, Shape, Table, default, optional, required};

const PLAIN: Shape = Shape::Text(Form::Plain);
const TEXTS: Shape = super::tables::TEXTS;
const CONTEXTS: Shape = super::tables::CONTEXTS;
const RISK: Shape = Shape::Word(&["none", "low", "medium", "high"]);
const DATE: Shape = Shape::Either(&[Shape::Text(Form::Date), Shape::Date]);

pub(crate) static CASES: Table = Table {
    title: "a file of cases",
    keys: &[required("case", Shape::List(&Shape::Table(&CASE)), "Cases.")],
};

pub(crate) static CASE: Table = Table {
    title: "[[case]]",
    keys: &[
        required("name", PLAIN, "A sentence that says what must hold."),
        required("request", Shape::Table(&QUESTION), "Who asks for what, from where, on what."),
        required(
            "expect",
            Shape::Word(&["grant", "challenge", "deny", "block"]),
            "What the policies must say.",
        ),
        optional("code", Shape::Integer { min: 0, max: 999_999 }, "The code that the denial must show."),
        optional("applied", TEXTS, "Exactly the enforced policies that must apply, by id."),
    ],
};

pub(crate) static QUESTION: Table = Table {
    title: "a request",
    keys: &[
        optional("user", PLAIN, "The id that policies name; either this or `program`."),
        optional("program", PLAIN, "The service principal's id, for a token without a user."),
        optional("groups", TEXTS, "Group ids."),
        optional("roles", TEXTS, "Directory role ids."),
        optional("guest", PLAIN, "How the user is external: `b2b-collaboration-guest` …"),
        optional("home-tenant", PLAIN, "The tenant that the user comes from."),
        required("app", Shape::Text(Form::Id), "The app, by id."),
        optional("context", Shape::Text(Form::Context), "The authentication context; from `path` if absent."),
        default("method", "\"GET\"", PLAIN, "The method."),
        default("path", "\"/\"", PLAIN, "The path."),
        optional("ip", PLAIN, "The client's address."),
        optional("country", Shape::Text(Form::Country), "Its country; looked up from `ip` if absent."),
        optional(
            "platform",
            Shape::Word(&["android", "ios", "windows", "macos", "linux", "windows-phone"]),
            "The device's platform.",
        ),
        optional(
            "client",
            Shape::Word(&["browser", "mobile-apps-and-desktop-clients", "exchange-active-sync", "other"]),
            "The kind of client.",
        ),
        optional("sign-in-risk", RISK, "Risk of the sign-in."),
        optional("user-risk", RISK, "Risk of the user."),
        optional("insider-risk", RISK, "Insider risk."),
        optional("service-principal-risk", RISK, "Risk of the program."),
        optional("amr", TEXTS, "Authentication methods of the token; `[\"mfa\"]` proves two factors."),
        optional(
            "mfa",
            Shape::Bool,
            "That the sign-in proved several factors, in whatever way its issuer tells it.",
        ),
        optional("acr", PLAIN, "Authentication context class of the token."),
        optional(
            "acrs",
            CONTEXTS,
            "Authentication contexts that the token says were satisfied, such as `[\"c1\"]`.",
        ),
        optional("issuer", PLAIN, "The issuer of the token, by its name; the app's first if absent."),
        optional(
            "carrier",
            Shape::Word(&["bearer", "session"]),
            "What brings the token: `Authorization: Bearer`, or a cookie or header of a session. If absent, a session where the app takes one and `client` is a browser or is not told.",
        ),
        optional("client-id", PLAIN, "The client that the token was issued to."),
        optional(
            "flow",
            Shape::Word(&["device-code-flow", "authentication-transfer"]),
            "The authentication flow.",
        ),
        optional("signed-in", Shape::Text(Form::Duration), "How long ago the sign-in was."),
        optional("password-changed", Shape::Text(Form::Duration), "How long ago the password was changed."),
        optional("risk-seen", Shape::Text(Form::Duration), "How long ago the user's risk was seen."),
        optional("terms", TEXTS, "Terms of use that were accepted."),
        optional("custom-controls", TEXTS, "External controls that were satisfied."),
        optional("at", DATE, "When: a date and time with its offset; now if absent."),
        optional("device", Shape::Table(&DEVICE), "The registered device; absent, it is unregistered."),
        optional("claims", Shape::Map(&CLAIM), "Claims that rules ask for as `user.NAME`."),
        optional(
            "unavailable",
            Shape::List(&Shape::Word(&[
                "groups",
                "roles",
                "ip",
                "country",
                "platform",
                "client",
                "device",
                "sign-in-risk",
                "user-risk",
                "insider-risk",
                "service-principal-risk",
            ])),
            "Facts whose source does not answer.",
        ),
    ],
};

const CLAIM: Shape = Shape::Either(&[PLAIN, Shape::Bool, Shape::Number, TEXTS]);

pub(crate) static DEVICE: Table = Table {
    title: "a device",
    keys: &[
        optional("id", PLAIN, "deviceId"),
        optional("name", PLAIN, "displayName"),
        optional("ownership", PLAIN, "deviceOwnership"),
        optional("enrollment-profile", PLAIN, "enrollmentProfileName"),
        optional("compliant", Shape::Bool, "isCompliant"),
        optional("manufacturer", PLAIN, "manufacturer"),
        optional("mdm-app-id", PLAIN, "mdmAppId"),
        optional("model", PLAIN, "model"),
        optional("operating-system", PLAIN, "operatingSystem"),
        optional("operating-system-version", PLAIN, "operatingSystemVersion"),
        optional("physical-ids", TEXTS, "physicalIds"),
        optional("profile-type", PLAIN, "profileType"),
        optional("system-labels", TEXTS, "systemLabels"),
        optional("trust-type", PLAIN, "trustType: `AzureAD`, `ServerAD`, `Workplace`"),
        optional("extension-attributes", Shape::Map(&PLAIN), "extensionAttribute1 to 15, keyed `1` to `15`."),
    ],
};

// Graph's body, as far as a request to an app of ours can be asked with it.

pub(crate) static GRAPH: Table = Table {
    title: "a Graph what-if body",
    keys: &[
        required("signInIdentity", Shape::Table(&GRAPH_IDENTITY), "Who."),
        required("signInContext", Shape::Table(&GRAPH_CONTEXT), "For what."),
        optional("signInConditions", Shape::Table(&GRAPH_CONDITIONS), "In which circumstances."),
        optional("appliedPoliciesOnly", Shape::Bool, "Leave out policies that do not apply."),
    ],
};

pub(crate) static GRAPH_IDENTITY: Table = Table {
    title: "signInIdentity",
    keys: &[
        optional("@odata.type", PLAIN, "`#microsoft.graph.userSignIn` or `…servicePrincipalSignIn`"),
        optional("userId", PLAIN, "The user's id."),
        optional("externalTenantId", PLAIN, "The tenant of an external user."),
        optional("externalUserType", PLAIN, "How the user is external."),
        optional("servicePrincipalId", PLAIN, "The service principal's id."),
    ],
};

pub(crate) static GRAPH_CONTEXT: Table = Table {
    title: "signInContext",
    keys: &[
        optional("@odata.type", PLAIN, "`#microsoft.graph.applicationContext` or `…authContext`"),
        optional("includeApplications", TEXTS, "The app, by id."),
        optional("authenticationContextValue", PLAIN, "The authentication context."),
        optional("userAction", PLAIN, "Of Microsoft's own services only."),
    ],
};

pub(crate) static GRAPH_CONDITIONS: Table = Table {
    title: "signInConditions",
    keys: &[
        optional("@odata.type", PLAIN, ""),
        optional("devicePlatform", PLAIN, "The platform."),
        optional("clientAppType", PLAIN, "The kind of client."),
        optional("signInRiskLevel", PLAIN, "Risk of the sign-in."),
        optional("userRiskLevel", PLAIN, "Risk of the user."),
        optional("servicePrincipalRiskLevel", PLAIN, "Risk of the program."),
        optional("insiderRiskLevel", PLAIN, "Insider risk."),
        optional(
            "acrs",
            TEXTS,
            "Not of Graph's: authentication contexts that the token holds, such as `c1`.",
        ),
        optional("country", PLAIN, "The country."),
        optional("ipAddress", PLAIN, "The address."),
        optional("authenticationFlow", Shape::Table(&GRAPH_FLOW), "The flow."),
        optional("deviceInfo", Shape::Table(&GRAPH_DEVICE), "The device."),
    ],
};

pub(crate) static GRAPH_FLOW: Table = Table {
    title: "authenticationFlow",
    keys: &[optional("@odata.type", PLAIN, ""), optional("transferMethod", PLAIN, "The flow.")],
};

pub(crate) static GRAPH_DEVICE: Table = Table {
    title: "deviceInfo",
    keys: &[
        optional("@odata.type", PLAIN, ""),
        optional("deviceId", PLAIN, ""),
        optional("displayName", PLAIN, ""),
        optional("enrollmentProfileName", PLAIN, ""),
        optional("extensionAttribute1", PLAIN, ""),
        optional("extensionAttribute2", PLAIN, ""),
        optional("extensionAttribute3", PLAIN, ""),
        optional("extensionAttribute4", PLAIN, ""),
        optional("extensionAttribute5", PLAIN, ""),
        optional("extensionAttribute6", PLAIN, ""),
        optional("extensionAttribute7", PLAIN, ""),
        optional("extensionAttribute8", PLAIN, ""),
        optional("extensionAttribute9", PLAIN, ""),
        optional("extensionAttribute10", PLAIN, ""),
        optional("extensionAttribute11", PLAIN, ""),
        optional("extensionAttribute12", PLAIN, ""),
        optional("extensionAttribute13", PLAIN, ""),
        optional("extensionAttribute14", PLAIN, ""),
        optional("extensionAttribute15", PLAIN, ""),
        optional("isCompliant", Shape::Bool, ""),
        optional("manufacturer", PLAIN, ""),
        optional("mdmAppId", PLAIN, ""),
        optional("model", PLAIN, ""),
        optional("operatingSystem", PLAIN, ""),
        optional("operatingSystemVersion", PLAIN, ""),
        optional("ownership", PLAIN, ""),
        optional("physicalIds", TEXTS, ""),
        optional("profileType", PLAIN, ""),
        optional("systemLabels", TEXTS, ""),
        optional("trustType", PLAIN, ""),
    ],
};
