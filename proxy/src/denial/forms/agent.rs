//! Which program asks, by what it says of itself. It decides nothing but the form, and counts for everybody alike: an app's own
//! `clients` would show strangers which app it is.

use portcullis_config::settings::Clients;

/// The shape of errors that a program reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// One of those that an app may name as its clients.
    Of(Clients),
    /// client-go, where it asks which kinds of things there are: there it shows text, and nothing of a `Status`.
    KubernetesDiscovery,
    /// Git's extension for large files.
    GitLfs,
}

/// What the names of programs begin with, as they are sent.
const BEGINNINGS: [(&[u8], Program); 19] = [
    (b"docker/", Program::Of(Clients::Docker)),
    (b"containerd/", Program::Of(Clients::Docker)),
    (b"containers/", Program::Of(Clients::Docker)),
    (b"skopeo/", Program::Of(Clients::Docker)),
    (b"buildah/", Program::Of(Clients::Docker)),
    (b"buildkit/", Program::Of(Clients::Docker)),
    (b"cri-o/", Program::Of(Clients::Docker)),
    (b"crane/", Program::Of(Clients::Docker)),
    (b"go-containerregistry", Program::Of(Clients::Docker)),
    (b"oras-go", Program::Of(Clients::Docker)),
    (b"helm/", Program::Of(Clients::Helm)),
    (b"npm/", Program::Of(Clients::Npm)),
    (b"pnpm/", Program::Of(Clients::Npm)),
    (b"yarn/", Program::Of(Clients::Npm)),
    (b"hashicorp terraform/", Program::Of(Clients::Terraform)),
    (b"terraform/", Program::Of(Clients::Terraform)),
    (b"opentofu/", Program::Of(Clients::Terraform)),
    (b"pip/", Program::Of(Clients::Pip)),
    (b"git-lfs/", Program::GitLfs),
];

/// What is built on client-go says so behind its own name: `kubectl/v1.32.0 (linux/amd64) kubernetes/70d3cc9`.
const CLIENT_GO: &[u8] = b" kubernetes/";

/// What client-go accepts where it asks which kinds of things there are.
const DISCOVERY: &str = "apidiscovery.k8s.io";

impl Program {
    /// The same, for who accepts this.
    pub(in crate::denial) fn asking_for(self, accept: Option<&str>) -> Self {
        match self {
            Self::Of(Clients::Kubernetes) if accept.is_some_and(|accept| accept.contains(DISCOVERY)) => {
                Self::KubernetesDiscovery
            }
            other => other,
        }
    }
}

/// The program that says so of itself.
pub(in crate::denial) fn program_of(agent: &[u8]) -> Option<Program> {
    let begins = |name: &[u8]| agent.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name));
    if let Some((_, program)) = BEGINNINGS.iter().find(|(name, _)| begins(name)) {
        return Some(*program);
    }
    memchr::memmem::find(agent, CLIENT_GO).map(|_| Program::Of(Clients::Kubernetes))
}
