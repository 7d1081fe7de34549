//! `project.records`: a file `<timestamp>-<sha>.json` of each deployment that ended, in a folder here.

use super::{Engine, failed};
use crate::api::EngineError;
use deploy_core::failure::{Code, Failure};
use deploy_core::id::Seq;
use deploy_core::manifest::Records;
use deploy_core::port::journal::Stream;
use deploy_core::view::result::result;
use deploy_core::view::{DeploymentView, ProjectView};

impl Engine {
    /// The records that lie here, as a glob below the manifest's folder: what we wrote there ourselves is no change of anybody's.
    pub(super) fn records_here(&self) -> Option<String> {
        match &self.project.records {
            Some(Records::Here(folder)) => {
                let literal = |c: char| match c {
                    '*' | '?' | '[' | '\\' => vec!['\\', c],
                    _ => vec![c],
                };
                let folder: String = folder.as_str().chars().flat_map(literal).collect();
                let folder = folder.trim_start_matches("./").trim_end_matches('/');
                Some(format!("{folder}/????????T??????Z-*.json"))
            }
            _ => None,
        }
    }

    /// Writes the record of a deployment, where the manifest asks for one here.
    pub(super) async fn write_record(&self, view: &DeploymentView) -> Result<(), EngineError> {
        let Some(Records::Here(folder)) = &self.project.records else {
            return Ok(());
        };
        let project = self
            .store
            .load(&Stream::Project, Seq(0))
            .await
            .map_err(super::journal_error)?;
        let project = ProjectView::fold(project.iter().map(deploy_core::event::Recorded::event));
        let result = result(view, &project);
        let at = view
            .finished_at
            .unwrap_or(view.latest)
            .to_jiff()
            .strftime("%Y%m%dT%H%M%SZ")
            .to_string();
        let sha = result.commit.as_ref().map_or("none", |commit| commit.short());
        let path = self.folder.join(folder.as_str()).join(format!("{at}-{sha}.json"));
        let cannot = |error: std::io::Error| {
            let next = "make the folder writable; the deployment itself is recorded in the state";
            failed(
                Failure::new(
                    Code::StateFull,
                    format!("could not write the record {}", path.display()),
                    next,
                )
                .caused_by(&error),
            )
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(cannot)?;
        }
        let text = serde_json::to_vec_pretty(&result).map_err(|error| super::defect(&error))?;
        std::fs::write(&path, text).map_err(cannot)
    }
}
