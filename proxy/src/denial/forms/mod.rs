//! The forms that single programs read. Each shows its user what is wrong only where a refusal has the shape that it knows:
//! in any other it says `403`, or less.
//!
//! They say what the problem details say, in one sentence: the headline, what to do, the code and the reference.

mod agent;
mod git_lfs;
mod kubernetes;
mod npm;
mod registry;
mod said;
mod terraform;

pub use agent::Program;
pub(super) use agent::program_of;
pub(super) use said::{grpc_message, phrase};

use http::header::HeaderValue;
use http::{HeaderMap, HeaderName};
use portcullis_config::settings::Clients;

use said::sentence;

use super::branding::Branding;
use super::headers::PLAIN;
use super::plain;
use super::texts::Texts;
use super::view::View;

/// npm shows it beside its own words, whatever the status is (npm-registry-fetch, `check-response.js`).
const NPM_NOTICE: HeaderName = HeaderName::from_static("npm-notice");

/// A body, its content type, and the reason phrase of its status line, where the program shows that.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) content_type: HeaderValue,
    pub(super) body: Vec<u8>,
    pub(super) phrase: Option<String>,
}

impl Program {
    /// What a view says to it.
    pub(super) fn form(self, view: &View<'_>, branding: &Branding, texts: &'static Texts) -> Form {
        let json = |body| Form {
            content_type: const { HeaderValue::from_static("application/json") },
            body,
            phrase: None,
        };
        match self {
            Self::Of(Clients::Docker) => json(registry::errors(view, texts)),
            Self::Of(Clients::Helm) => {
                Form { phrase: Some(phrase(view)), ..json(registry::errors(view, texts)) }
            }
            Self::Of(Clients::Npm) => json(npm::error(view, texts)),
            Self::Of(Clients::Kubernetes) => json(kubernetes::status(view, texts)),
            Self::Of(Clients::Terraform) => Form {
                content_type: const { HeaderValue::from_static("application/vnd.api+json") },
                body: terraform::errors(view, texts),
                phrase: Some(phrase(view)),
            },
            Self::Of(Clients::Pip) => Form {
                content_type: PLAIN,
                body: plain::text(view, branding, texts),
                phrase: Some(phrase(view)),
            },
            Self::KubernetesDiscovery => {
                Form { content_type: PLAIN, body: sentence(view, texts).into_bytes(), phrase: None }
            }
            Self::GitLfs => Form {
                content_type: const { HeaderValue::from_static("application/vnd.git-lfs+json") },
                body: git_lfs::message(view, texts),
                phrase: None,
            },
        }
    }

    /// What else the head says to it.
    pub(super) fn headers(self, headers: &mut HeaderMap, view: &View<'_>) {
        // Of a 401 it shows nothing of the body.
        if self == Self::Of(Clients::Npm)
            && view.info.status == 401
            && let Ok(notice) = HeaderValue::try_from(phrase(view))
        {
            headers.insert(NPM_NOTICE, notice);
        }
    }
}
