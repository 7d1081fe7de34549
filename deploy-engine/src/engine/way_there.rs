//! How a release comes into an environment: through those that it comes after. The commands for it, and why a release that was made
//! before there was the environment cannot.

use super::scene::Views;
use super::{Engine, configure_error, usage};
use crate::api::EngineError;
use crate::configure;
use deploy_core::failure::Code;
use deploy_core::id::EnvName;
use deploy_core::model::Release;

/// An environment on the way, and whether it is one that releases begin in.
struct Station {
    name: EnvName,
    first: bool,
}

impl Station {
    fn command(&self) -> String {
        let verb = if self.first { "up" } else { "promote" };
        format!("deploy {verb} -e {}", self.name)
    }
}

impl Engine {
    /// The commands that bring a new release into an environment, from the first.
    pub(super) async fn way_to(&self, name: &EnvName) -> String {
        commands(&self.stations(name).await)
    }

    /// The same without the environments that run a verified release already; none where only the last command is left.
    pub(super) async fn rest_of_the_way_to(&self, name: &EnvName, views: &Views) -> Option<String> {
        let mut stations = self.stations(name).await;
        stations.retain(|station| {
            let view = views.environment(&station.name);
            let current = view.current.release();
            station.name == *name
                || current.is_none_or(|release| view.stays.counting(release.digest).is_none())
        });
        (stations.len() > 1).then(|| commands(&stations))
    }

    /// All environments on the way to one, each after those that it comes after; itself last.
    async fn stations(&self, name: &EnvName) -> Vec<Station> {
        let mut order: Vec<Station> = Vec::new();
        let mut open = vec![(name.clone(), None)];
        while let Some((name, first)) = open.pop() {
            if order.iter().any(|station| station.name == name) {
                continue;
            }
            if let Some(first) = first {
                order.push(Station { name, first });
                continue;
            }
            // One that cannot be read is where the way begins, as far as is known.
            let after = self
                .environment(&name)
                .await
                .map_or_else(|_| Vec::new(), |environment| environment.after);
            open.push((name, Some(after.is_empty())));
            open.extend(after.into_iter().rev().map(|name| (name, None)));
        }
        order
    }

    /// Refuses a release whose commit knows nothing of the environment: it was made before there was one.
    pub(super) async fn refuse_older_than(
        &self,
        name: &EnvName,
        release: &Release,
    ) -> Result<(), EngineError> {
        // Without its commit there is another reason to say, and whoever needs the commit says it.
        let Ok(git) = self.git() else { return Ok(()) };
        let Ok(commit) = self.commit_of(git, release).await else {
            return Ok(());
        };
        let manifest = configure::manifest_of(git, &commit, &self.file)
            .await
            .map_err(configure_error)?;
        if manifest.environments().contains(name) {
            return Ok(());
        }
        let stations = self.stations(name).await;
        let first = stations
            .first()
            .map_or_else(|| "deploy up".to_owned(), Station::command);
        Err(usage(
            Code::UnknownName,
            format!(
                "release {} was made from commit {}, whose {} has no environment {name} yet",
                release.number,
                commit.short(),
                self.file
            ),
            format!("{first}, which makes a release that knows it"),
        ))
    }
}

fn commands(stations: &[Station]) -> String {
    let commands: Vec<_> = stations.iter().map(Station::command).collect();
    commands.join(", then ")
}
