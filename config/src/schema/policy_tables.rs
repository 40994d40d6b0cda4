//! The keys of `[[policy]]`.

use portcullis_policy::model::{ClientAppType, Flow, Platform, RiskLevel};

use super::{DATE, DISCLOSURE, Form, Literal, Shape, TEXT, TEXTS, Table, default, optional, required};

const SELECTORS: Shape = Shape::List(&Shape::Text(Form::Selector));
const RISKS: Shape = Shape::List(&Shape::Word(&RiskLevel::WORDS));
const PATHS: Shape = Shape::List(&Shape::Text(Form::PathPattern));

pub(crate) static POLICY: Table = Table {
    title: "[[policy]]",
    keys: &[
        required("id", Shape::Text(Form::Id), "Unique and stable; appears in metrics and logs."),
        optional("name", TEXT, "What administrators call it; the id if absent."),
        default(
            "state",
            Literal::Text("enabled"),
            Shape::Word(&["enabled", "report-only", "disabled"]),
            "Whether it is enforced, only watched, or switched off.",
        ),
        optional("users", Shape::Table(&USERS), "People; either these or `workloads`."),
        optional("workloads", Shape::Table(&WORKLOADS), "Programs acting for themselves."),
        optional("apps", Shape::Table(&APPS), "Applications; either these or `authentication-contexts`."),
        optional(
            "authentication-contexts",
            Shape::List(&Shape::Text(Form::Context)),
            "Parts of apps that ask for one of these contexts.",
        ),
        optional("conditions", Shape::Table(&CONDITIONS), "Under which circumstances; any if absent."),
        optional(
            "grant",
            Shape::Either(&[Shape::Word(&["block"]), Shape::Table(&GRANT)]),
            "`\"block\"`, or the controls that are asked for.",
        ),
        optional("session", Shape::Table(&SESSION), "What holds for the session that follows."),
        optional(
            "disclosure",
            DISCLOSURE,
            "How much a denial of it shows; as app and `[denial]` say if absent.",
        ),
        optional(
            "message",
            TEXT,
            "Your words to who is refused, at most 300 characters; shown at full disclosure only.",
        ),
    ],
};

pub(crate) static USERS: Table = Table {
    title: "users",
    keys: &[
        required(
            "include",
            SELECTORS,
            "`all`, `none`, `user:ID`, `group:ID`, `role:ID`, `guests`, `guests:KIND,KIND@TENANT,TENANT`.",
        ),
        optional("exclude", SELECTORS, "The same; an exclusion wins."),
    ],
};

pub(crate) static WORKLOADS: Table = Table {
    title: "workloads",
    keys: &[
        required("include", SELECTORS, "`all`, `none`, `service-principal:ID`."),
        optional("exclude", SELECTORS, "The same; an exclusion wins."),
    ],
};

pub(crate) static APPS: Table = Table {
    title: "apps",
    keys: &[
        optional("include", SELECTORS, "`all`, `none`, an app's id, `group:NAME`."),
        optional("exclude", SELECTORS, "The same; an exclusion wins."),
        optional("filter", Shape::Table(&FILTER), "A rule over `app.*`; adds to `include` or to `exclude`."),
    ],
};

pub(crate) static FILTER: Table = Table {
    title: "a filter",
    keys: &[
        required("mode", Shape::Word(&["include", "exclude"]), "Whether what matches is meant, or all else."),
        required("rule", Shape::Text(Form::Rule), "A rule in Entra's filter syntax."),
    ],
};

pub(crate) static CONDITIONS: Table = Table {
    title: "[policy.conditions]",
    keys: &[
        optional("client-apps", Shape::List(&Shape::Word(&ClientAppType::WORDS)), "Client app types."),
        optional("platforms", Shape::Table(&PLATFORMS), "Device platforms."),
        optional("locations", Shape::Table(&LOCATIONS), "Named locations."),
        optional("sign-in-risk", RISKS, "Sign-in risk levels."),
        optional("user-risk", RISKS, "User risk levels."),
        optional("insider-risk", RISKS, "Insider risk levels."),
        optional("service-principal-risk", RISKS, "Service principal risk levels."),
        optional("device-filter", Shape::Table(&FILTER), "A rule over `device.*`."),
        optional("authentication-flows", Shape::List(&Shape::Word(&Flow::WORDS)), "Authentication flows."),
        optional("request", Shape::Table(&REQUEST), "Method and path."),
        optional("time", Shape::Table(&TIME), "Time of day, day of week, dates."),
        optional("claims", Shape::Text(Form::Rule), "A rule over `user.*`, `request.*` and `app.*`."),
    ],
};

const PLATFORM_WORDS: Shape = Shape::List(&Shape::Word(&PLATFORM_SELECTORS));
const PLATFORM_SELECTORS: [&str; Platform::WORDS.len() + 1] = {
    let [a, b, c, d, e, f] = Platform::WORDS;
    ["all", a, b, c, d, e, f]
};

pub(crate) static PLATFORMS: Table = Table {
    title: "platforms",
    keys: &[
        required("include", PLATFORM_WORDS, "Any of these,"),
        optional("exclude", PLATFORM_WORDS, "unless one of these."),
    ],
};

pub(crate) static LOCATIONS: Table = Table {
    title: "locations",
    keys: &[
        required("include", SELECTORS, "`all`, `all-trusted`, or a location's name."),
        optional("exclude", SELECTORS, "The same; an exclusion wins."),
    ],
};

pub(crate) static REQUEST: Table = Table {
    title: "request",
    keys: &[
        optional("methods", TEXTS, "Methods; any if absent."),
        optional(
            "paths",
            PATHS,
            "`/path` alone or `/path/**` with all below, in Unicode or escaped; any if absent.",
        ),
        optional(
            "exclude-paths",
            PATHS,
            "None of which may match; with letter case, unless the app says that it ignores it.",
        ),
    ],
};

pub(crate) static TIME: Table = Table {
    title: "time",
    keys: &[
        required("zone", Shape::Text(Form::Zone), "IANA name of the time zone."),
        optional(
            "windows",
            Shape::List(&Shape::Text(Form::Window)),
            "`mon-fri 08:00-18:00`; any time if absent.",
        ),
        optional("from", DATE, "First day, or local date and time, at which it can match."),
        optional("until", DATE, "First day, or local date and time, at which it no longer can."),
    ],
};

pub(crate) static GRANT: Table = Table {
    title: "grant",
    keys: &[
        default(
            "operator",
            Literal::Text("and"),
            Shape::Word(&["and", "or"]),
            "Whether all controls or one of them is enough.",
        ),
        required(
            "controls",
            Shape::List(&Shape::Text(Form::Control)),
            "`mfa`, `compliant-device`, `hybrid-joined-device`, `approved-client-app`, `app-protection`, \
             `password-change`, `strength:NAME`, `terms-of-use:NAME`, `custom:NAME`.",
        ),
    ],
};

pub(crate) static SESSION: Table = Table {
    title: "session",
    keys: &[
        optional(
            "sign-in-frequency",
            Shape::Either(&[Shape::Word(&["every-time"]), Shape::Text(Form::Duration)]),
            "How fresh the sign-in must be: a duration or `every-time`.",
        ),
        optional(
            "persistent-browser",
            Shape::Word(&["always", "never"]),
            "Whether the session outlives the browser.",
        ),
    ],
};
