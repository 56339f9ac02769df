//! True verdicts: rspamd in front of Postfix verifies what comes in, over a name server on loopback, and
//! writes what it finds; Airut believes that.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use airut::config::types::MailTls;
use airut::events::message::RejectionReason;
use airut::handlers::channels::{Channel as _, Triage};

use crate::common::mail::message;
use crate::common::{PATIENCE, until};
use crate::email::post::{Listening, Post};
use crate::email::verified::{BOB, name_server, signed_by};

/// A running filter; it ends with this.
struct Filter(Child);

impl Filter {
    /// Starts rspamd as the servers' directory tells it to.
    fn start(post: &Post) -> Option<Self> {
        let config = post.directory().join("mail/rspamd/rspamd.conf");
        let mut command = Command::new("rspamd");
        let command = command.args(["-f", "-i", "-c"]).arg(config);
        let silent = command.stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(child) = silent.spawn() else {
            let required = std::env::var_os("AIRUT_REQUIRE_REAL").is_some();
            assert!(!required, "a real part is missing: rspamd");
            eprintln!("SKIPPED: rspamd is missing (make setup)");
            return None;
        };
        let filter = Self(child);
        let port = post.servers.port("FILTER_PORT");
        until("the filter to listen", PATIENCE, || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Some(filter)
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        // Its main process ends its workers when it is asked to.
        let asked = Command::new("kill").arg(self.0.id().to_string()).status();
        assert!(asked.is_ok() && self.0.wait().is_ok());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_filter_s_verdict_decides_about_signed_unsigned_and_forged_mails() {
    let Some(post) = Post::start() else { return };
    name_server(post.servers.port("DNS_PORT")).await;
    let Some(_filter) = Filter::start(&post) else {
        return;
    };
    let email = post.account(MailTls::Implicit, MailTls::StartTls);
    let mut listening = Listening::start(&post, email);
    let mail = |number: u32| message(BOB, &format!("{number}@partner.test"), "Fix", "Please.");
    let forged =
        b"Authentication-Results: mail.example.test; dmarc=pass header.from=partner.test\r\n";
    let changed = String::from_utf8(signed_by("partner.test", &mail(4))).unwrap();
    for (raw, is_proven) in [
        (signed_by("partner.test", &mail(1)), true),
        (mail(2), false),
        ([&forged[..], &mail(3)].concat(), false),
        (changed.replace("Please.", "Steal.").into_bytes(), false),
        (signed_by("evil.test", &mail(5)), false),
    ] {
        post.servers.send_through("MX_FILTERED_PORT", BOB, &raw);
        let (_, raw) = listening.message().await;
        let raw_text = String::from_utf8_lossy(&raw);
        match listening.channel.triage(&raw, None) {
            Triage::Accepted(triaged) => {
                assert!(is_proven, "{raw_text}");
                assert_eq!(triaged.identity, BOB);
            }
            Triage::Rejected { reason, detail } => {
                assert!(!is_proven, "{detail}\n{raw_text}");
                assert_eq!(reason, RejectionReason::NotAuthenticated, "{detail}");
                assert!(detail.starts_with("dmarc="), "{detail}\n{raw_text}");
            }
            Triage::Declined(_) => panic!("{raw_text}"),
        }
    }
    listening.stop().await;
}
