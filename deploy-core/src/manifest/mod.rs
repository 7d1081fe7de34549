//! The manifest: from the text of `deploy.toml` to one environment's merged, expanded, typed configuration. Pure: files are
//! read by the caller. The way is [`parse`] (form, and every rule that needs no variable) → [`Manifest::project`] and
//! [`Manifest::resolve`] (layers merged, `${…}` expanded, values judged).

pub mod acting;
pub mod keys;
pub mod leaf;
pub mod model;
pub mod proof;
pub mod scope;
pub mod template;

mod assemble;
mod graph;
mod merge;
mod named;
mod node;
mod parse;
mod read;
mod schema;
mod slip;
mod suggest;
mod syntax;

pub use assemble::parse_env_file;
pub use keys::artifact::{
    Artifact, ArtifactKind, Check, GithubCheck, ImageSource, Rebuild, Severity, SshAddress,
};
pub use keys::environment::SecretRef;
pub use keys::gates::{
    Allow, Approval, Checklist, ChecklistItem, Confirm, Freeze, FreezeWindow, WeekTime, Zone,
};
pub use keys::health::{
    Bounds, Expect, JsonExpect, JsonPointer, JsonScalar, ProbeFrom, ProbeKind, VersionExpect,
};
pub use keys::project::{HostRecords, Records};
pub use keys::service::{HookPoint, OnFailure};
pub use keys::strategy::{CanaryStep, HostSelection, Proxy, StrategyKind};
pub use keys::target::{
    Backup, ComposeConfig, ExecConfig, FlyConfig, GoldenImageConfig, K8sConfig, KeyMap, MigrationCommands,
    MigrationRollback, MigrationsConfig, Namespace, SshConfig, TargetConfig, TargetKind, WhenStopped,
};
pub use leaf::{Amount, Command, Glob, InnerPath, OneOrMore, Period, RelPath};
pub use model::{
    Content, Environment, HealthProbe, Host, HostAddress, NamedHook, OnHost, Origin, Project, Service,
    ServiceStrategy, Setting, There, config_version,
};
pub use named::{Found, Unfilled, stands_for_a_server};
pub use parse::{MAX_BYTES, Manifest, parse};
pub use schema::{Explanation, explain, keys_called, schema};
pub use suggest::nearest;
pub use template::{Fact, Facts, Part, Template, Unexpanded, VarName};
