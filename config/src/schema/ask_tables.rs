//! The keys of a question to the policies, of a file of cases, and of the body that Graph takes for the
//! same question (`conditionalAccess/evaluate`).

use portcullis_policy::model::{ClientAppType, Flow, Platform, RiskLevel};

use super::{CONTEXTS, DATE, Form, Literal, Shape, TEXT, TEXTS, Table, default, optional, required};

const RISK: Shape = Shape::Word(&RiskLevel::WORDS);

pub(crate) static CASES: Table = Table {
    title: "a file of cases",
    keys: &[required("case", Shape::List(&Shape::Table(&CASE)), "Cases.")],
};

pub(crate) static CASE: Table = Table {
    title: "[[case]]",
    keys: &[
        required("name", TEXT, "A sentence that says what must hold."),
        required("request", Shape::Table(&QUESTION), "Who asks for what, from where, on what."),
        required(
            "expect",
            Shape::Word(&["grant", "challenge", "deny", "block", "public"]),
            "What the policies must say; `public` where the app opens the path to everybody.",
        ),
        optional("code", Shape::Integer { min: 0, max: 999_999 }, "The code that the denial must show."),
        optional("applied", TEXTS, "Exactly the enforced policies that must apply, by id."),
    ],
};

pub(crate) static QUESTION: Table = Table {
    title: "a request",
    keys: &[
        optional("user", TEXT, "The id that policies name; either this or `program`."),
        optional("program", TEXT, "The service principal's id, for a token without a user."),
        optional("groups", TEXTS, "Group ids."),
        optional("roles", TEXTS, "Directory role ids."),
        optional("guest", TEXT, "How the user is external: `b2b-collaboration-guest` …"),
        optional("home-tenant", TEXT, "The tenant that the user comes from."),
        required("app", Shape::Text(Form::Id), "The app, by id; on the command line `--app`."),
        optional("context", Shape::Text(Form::Context), "The authentication context; from `path` if absent."),
        default("method", Literal::Text("GET"), TEXT, "The method."),
        optional("path", TEXT, "The path; where the app begins if absent."),
        optional("ip", TEXT, "The client's address."),
        optional("country", Shape::Text(Form::Country), "Its country; looked up from `ip` if absent."),
        optional("platform", Shape::Word(&Platform::WORDS), "The device's platform."),
        optional("client", Shape::Word(&ClientAppType::WORDS), "The kind of client."),
        optional("sign-in-risk", RISK, "Risk of the sign-in."),
        optional("user-risk", RISK, "Risk of the user."),
        optional("insider-risk", RISK, "Insider risk."),
        optional("service-principal-risk", RISK, "Risk of the program."),
        optional("amr", TEXTS, "Authentication methods of the token; `[\"mfa\"]` proves two factors."),
        optional(
            "mfa",
            Shape::Bool,
            "That the sign-in proved several factors, by whichever claim its issuer uses.",
        ),
        optional("acr", TEXT, "Authentication context class of the token."),
        optional(
            "acrs",
            CONTEXTS,
            "Authentication contexts that the token says were satisfied, such as `[\"c1\"]`.",
        ),
        optional("issuer", TEXT, "The issuer of the token, by its name; the app's first if absent."),
        optional(
            "carrier",
            Shape::Word(&["bearer", "session"]),
            "What brings the token: `Authorization: Bearer`, or a cookie or header of a session. If absent, a session where the app takes one and `client` is a browser or is absent.",
        ),
        optional("client-id", TEXT, "The client that the token was issued to."),
        optional("flow", Shape::Word(&Flow::WORDS), "The authentication flow."),
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

const CLAIM: Shape = Shape::Either(&[TEXT, Shape::Bool, Shape::Number, TEXTS]);

pub(crate) static DEVICE: Table = Table {
    title: "a device",
    keys: &[
        optional("id", TEXT, "deviceId"),
        optional("name", TEXT, "displayName"),
        optional("ownership", TEXT, "deviceOwnership"),
        optional("enrollment-profile", TEXT, "enrollmentProfileName"),
        optional("compliant", Shape::Bool, "isCompliant"),
        optional("manufacturer", TEXT, "manufacturer"),
        optional("mdm-app-id", TEXT, "mdmAppId"),
        optional("model", TEXT, "model"),
        optional("operating-system", TEXT, "operatingSystem"),
        optional("operating-system-version", TEXT, "operatingSystemVersion"),
        optional("physical-ids", TEXTS, "physicalIds"),
        optional("profile-type", TEXT, "profileType"),
        optional("system-labels", TEXTS, "systemLabels"),
        optional("trust-type", TEXT, "trustType: `AzureAD`, `ServerAD`, `Workplace`"),
        optional("extension-attributes", Shape::Map(&TEXT), "extensionAttribute1 to 15, keyed `1` to `15`."),
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
        optional("@odata.type", TEXT, "`#microsoft.graph.userSignIn` or `…servicePrincipalSignIn`"),
        optional("userId", TEXT, "The user's id."),
        optional("externalTenantId", TEXT, "The tenant of an external user."),
        optional("externalUserType", TEXT, "How the user is external."),
        optional("servicePrincipalId", TEXT, "The service principal's id."),
    ],
};

pub(crate) static GRAPH_CONTEXT: Table = Table {
    title: "signInContext",
    keys: &[
        optional("@odata.type", TEXT, "`#microsoft.graph.applicationContext` or `…authContext`"),
        optional("includeApplications", TEXTS, "The app, by id."),
        optional("authenticationContextValue", TEXT, "The authentication context."),
        optional("userAction", TEXT, "Of Microsoft's own services only."),
    ],
};

pub(crate) static GRAPH_CONDITIONS: Table = Table {
    title: "signInConditions",
    keys: &[
        optional("@odata.type", TEXT, ""),
        optional("devicePlatform", TEXT, "The platform."),
        optional("clientAppType", TEXT, "The kind of client."),
        optional("signInRiskLevel", TEXT, "Risk of the sign-in."),
        optional("userRiskLevel", TEXT, "Risk of the user."),
        optional("servicePrincipalRiskLevel", TEXT, "Risk of the program."),
        optional("insiderRiskLevel", TEXT, "Insider risk."),
        optional(
            "acrs",
            TEXTS,
            "Not of Graph's: authentication contexts that the token holds, such as `c1`.",
        ),
        optional("country", TEXT, "The country."),
        optional("ipAddress", TEXT, "The address."),
        optional("authenticationFlow", Shape::Table(&GRAPH_FLOW), "The flow."),
        optional("deviceInfo", Shape::Table(&GRAPH_DEVICE), "The device."),
    ],
};

pub(crate) static GRAPH_FLOW: Table = Table {
    title: "authenticationFlow",
    keys: &[optional("@odata.type", TEXT, ""), optional("transferMethod", TEXT, "The flow.")],
};

pub(crate) static GRAPH_DEVICE: Table = Table {
    title: "deviceInfo",
    keys: &[
        optional("@odata.type", TEXT, ""),
        optional("deviceId", TEXT, ""),
        optional("displayName", TEXT, ""),
        optional("enrollmentProfileName", TEXT, ""),
        optional("extensionAttribute1", TEXT, ""),
        optional("extensionAttribute2", TEXT, ""),
        optional("extensionAttribute3", TEXT, ""),
        optional("extensionAttribute4", TEXT, ""),
        optional("extensionAttribute5", TEXT, ""),
        optional("extensionAttribute6", TEXT, ""),
        optional("extensionAttribute7", TEXT, ""),
        optional("extensionAttribute8", TEXT, ""),
        optional("extensionAttribute9", TEXT, ""),
        optional("extensionAttribute10", TEXT, ""),
        optional("extensionAttribute11", TEXT, ""),
        optional("extensionAttribute12", TEXT, ""),
        optional("extensionAttribute13", TEXT, ""),
        optional("extensionAttribute14", TEXT, ""),
        optional("extensionAttribute15", TEXT, ""),
        optional("isCompliant", Shape::Bool, ""),
        optional("manufacturer", TEXT, ""),
        optional("mdmAppId", TEXT, ""),
        optional("model", TEXT, ""),
        optional("operatingSystem", TEXT, ""),
        optional("operatingSystemVersion", TEXT, ""),
        optional("ownership", TEXT, ""),
        optional("physicalIds", TEXTS, ""),
        optional("profileType", TEXT, ""),
        optional("systemLabels", TEXTS, ""),
        optional("trustType", TEXT, ""),
    ],
};
