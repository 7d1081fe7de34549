//! The core alone: the example of `deploy-core` that drives the machine, started as it is.

use crate::figure::Figure;
use deploy_tests::process;
use std::process::Command;
use std::time::Duration;

const ROUNDS: usize = 3;
const LIMIT: Duration = Duration::from_mins(1);

/// Steps in a second of processor time (a busy machine does not count), and by the clock.
pub(crate) fn steps() -> Vec<Figure> {
    let me = std::env::current_exe().expect("a running program has a path");
    let program = me.with_file_name("steps_per_second");
    let mut found: Vec<(String, Vec<f64>, Vec<f64>)> = Vec::new();
    for _ in 0..ROUNDS {
        let output = process::run(&mut Command::new(&program), LIMIT).expect_code(0);
        for line in output.stdout.lines() {
            let value: serde_json::Value = serde_json::from_str(line).expect("a line is an object");
            let driving = value["driving"].as_str().expect("how it was driven").to_owned();
            let figure = |key: &str| value[key].as_f64().expect("a figure");
            let (cpu, wall) = (figure("steps_per_processor_second"), figure("steps_per_second"));
            match found.iter_mut().find(|(known, ..)| *known == driving) {
                Some((_, cpus, walls)) => {
                    cpus.push(cpu);
                    walls.push(wall);
                }
                None => found.push((driving, vec![cpu], vec![wall])),
            }
        }
    }
    let figures = found.into_iter().flat_map(|(driving, cpus, walls)| {
        [
            Figure::of(&format!("core, {driving}"), "steps/s", cpus)
                .goal("≥ 500000 steps/s")
                .note("by processor time"),
            Figure::of(&format!("core, {driving}, by the clock"), "steps/s", walls),
        ]
    });
    figures.collect()
}
