//! The allowlist: how many requests a second are judged, by as many rules as people have and by many.

use std::hint::black_box;
use std::time::Duration;

use airut::clock::Stopwatch;
use airut::sandbox::proxy::allowlist::{Allowlist, UrlPrefix};
use airut::sandbox::proxy::policy::{Asked, judge};

use super::print;

/// So long is judged.
const TIME: Duration = Duration::from_secs(1);

/// Requests judged between two looks at the clock.
const AT_ONCE: usize = 1024;

/// Judges requests by 20 and by 1,000 rules, the last of which allows half of them.
pub(crate) fn measure() {
    for rules in [20, 1000] {
        let allowlist = allowlist(rules);
        let host = format!("api{}.example.test", rules - 1);
        let asked = |path_and_query| Asked {
            host: &host,
            path_and_query,
            method: "GET",
        };
        let requests = [
            asked("/repos/one/two/pulls?page=2"),
            asked("/elsewhere/%C3%BC"),
        ];
        let watch = Stopwatch::start();
        let mut judged = 0;
        while watch.elapsed() < TIME {
            for request in requests.iter().cycle().take(AT_ONCE) {
                black_box(judge(&allowlist, black_box(*request)));
            }
            judged += AT_ONCE;
        }
        let rate = judged as f64 / watch.elapsed().as_secs_f64();
        print(&format!("allowlist.judge.r{rules}"), rate, "requests/s");
    }
}

/// Returns as many rules, all of them for other hosts but the last.
fn allowlist(rules: usize) -> Allowlist {
    let entry = |number| UrlPrefix {
        host: format!("api{number}.example.test"),
        path: "/repos/*/pulls*".to_owned(),
        methods: vec!["GET".to_owned()],
        graphql: None,
    };
    Allowlist {
        domains: vec!["static.example.test".to_owned()],
        url_prefixes: (1..rules).map(entry).collect(),
    }
}
