//! `airut schedule next` as a person or a program meets it.

use super::{Home, complained, said};

#[test]
fn due_times_are_told_as_the_clocks_there_show_them() {
    let home = Home::new();
    let next = ["schedule", "next", "30 3 * * *", "--tz", "Europe/Helsinki"];
    let from = ["--after", "2026-03-27T22:00:00Z", "--count", "2"];
    let arguments = [&next[..], &from[..]].concat();
    let lines = "Sat 2026-03-28T03:30:00+02:00  2026-03-28T01:30:00.000Z  Europe/Helsinki\n\
                 Sun 2026-03-29T04:00:00+03:00  2026-03-29T01:00:00.000Z  Europe/Helsinki\n";
    assert_eq!(said(&home.run(&arguments)), lines);
    let json = said(&home.run(&[&arguments[..], &["--json"]].concat()));
    let times: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(times[1]["utc"], "2026-03-29T01:00:00.000Z", "{json}");
}

#[test]
fn what_cannot_be_read_is_said_with_what_to_write() {
    let home = Home::new();
    for (arguments, words) in [
        (&["99 * * * *"][..], "\"99\" is no minute"),
        (
            &["* * * * *", "--tz", "Atlantis"][..],
            "an IANA name such as Europe/Helsinki",
        ),
        (
            &["* * * * *", "--after", "12"][..],
            "is a place in the log; write a time",
        ),
    ] {
        let output = home.run(&[&["schedule", "next"][..], arguments].concat());
        assert!(!output.status.success());
        let told = complained(&output);
        assert!(told.contains(words), "{told}");
    }
}
