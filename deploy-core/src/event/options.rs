//! What a request changes in its one deployment, beside what the manifest says.

use crate::id::ServiceName;
use crate::manifest::StrategyKind;
use crate::time::optional_human;
use serde::{Deserialize, Serialize};
use std::ops::Not;
use std::time::Duration;

/// Options of a request. One that this version does not know makes the event one of a newer version: leaving it out would make another
/// deployment of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RequestOptions {
    /// Another strategy than the manifest's, for every service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<StrategyKind>,
    /// The longest from the start of activation to the commit point.
    #[serde(with = "optional_human", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Whoever asked named the environment to confirm it.
    #[serde(skip_serializing_if = "Not::not")]
    pub confirmed: bool,
    /// A service that is removed by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retire: Option<ServiceName>,
    /// It was asked for although the work tree had changes.
    #[serde(skip_serializing_if = "Not::not")]
    pub allow_dirty: bool,
    /// What the release was called when it was asked for: a tag that its commit gets later is not what its processes were started with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Request;

    fn stored(options: &str) -> String {
        format!(
            r#"{{"key":"k","kind":"promote","release":{{"digest":"sha256:{}","number":"v2"}},"actor":"alice@laptop","established":"os user","branch":null,"reason":null,"services":[],"adopt":"refuse"{options}}}"#,
            "0".repeat(64)
        )
    }

    fn read(options: &str) -> Result<RequestOptions, String> {
        serde_json::from_str::<Request>(&stored(options))
            .map(|request| request.options)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_is_not_stored() {
        assert_eq!(read(""), Ok(RequestOptions::default()));
        assert_eq!(read(r#","options":{}"#), Ok(RequestOptions::default()));
        let stored = r#","options":{"allow_dirty":true,"confirmed":true,"retire":"search","strategy":"all-at-once","timeout":"15m","version":"1.0"}"#;
        let all = RequestOptions {
            strategy: Some(StrategyKind::AllAtOnce),
            timeout: Some(Duration::from_mins(15)),
            confirmed: true,
            retire: Some(ServiceName::new("search").expect("a name")),
            allow_dirty: true,
            version: Some("1.0".to_owned()),
        };
        assert_eq!(read(stored), Ok(all.clone()));
        let again = serde_json::to_string(&all).expect("options are JSON");
        assert_eq!(serde_json::from_str::<RequestOptions>(&again).ok(), Some(all));
    }

    #[test]
    fn an_option_of_a_newer_version_is_not_left_out() {
        for newer in [
            r#"{"shadow":true}"#,
            r#"{"strategy":"ring"}"#,
            r#"{"timeout":"1 moon"}"#,
        ] {
            assert!(read(&format!(r#","options":{newer}"#)).is_err(), "{newer}");
        }
    }
}
