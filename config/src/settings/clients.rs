//! What the clients of an app are: whose pages ask for it, and which programs read its refusals.

use std::time::Duration;

use portcullis_policy::words;

words! {
    /// Programs that show what is wrong only where a refusal has the shape that they know.
    pub enum Clients {
        /// Docker, containerd, Podman, Skopeo: the errors of the OCI Distribution Specification.
        Docker = "docker",
        /// Helm: the same from registries, and the status line from repositories.
        Helm = "helm",
        /// npm, pnpm, Yarn.
        Npm = "npm",
        /// kubectl and what is built on client-go: a `Status`.
        Kubernetes = "kubernetes",
        /// Terraform, OpenTofu: JSON:API, and the status line.
        Terraform = "terraform",
        /// pip, which shows nothing but the status line.
        Pip = "pip",
    }
}

/// How pages of other origins may ask (Fetch Standard, section 3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// Methods that a preflight allows; empty is those of the app, or the usual ones.
    pub methods: Vec<String>,
    /// Fields that a preflight allows, lower case; `None` is whichever it asks for.
    pub headers: Option<Vec<String>>,
    /// Fields of answers that such a page may read, beside those of refusals.
    pub expose: Vec<String>,
    /// For how long a browser remembers the answer to a preflight.
    pub max_age: Duration,
    /// Whether such a page may read what a request with the user's cookies brings.
    pub credentials: bool,
}
