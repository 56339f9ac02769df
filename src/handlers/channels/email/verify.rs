//! Verifying a mail ourselves, for servers that put no verdict on it: SPF (RFC 7208), DKIM (RFC 6376)
//! and DMARC (RFC 7489) by the library mail-auth, over the name server that the operator named. What it
//! finds is evidence and enters the judgement as an argument; it judges nothing itself.

use std::net::SocketAddr;
use std::time::Duration;

use mail_auth::dmarc::verify::DmarcParameters;
use mail_auth::spf::verify::SpfParameters;
use mail_auth::{AuthenticatedMessage, DmarcOutput, DmarcResult, MessageAuthenticator, SpfOutput};

use crate::handlers::channels::email::headers::Headers;
use crate::handlers::channels::email::{auth, hop};
use crate::sandbox::proxy::resolver_of;

/// Time for all questions of one mail; then it is tried again later.
const VERIFY_MAX: Duration = Duration::from_secs(60);
/// Time for one question.
const QUESTION_MAX: Duration = Duration::from_secs(5);
/// Most signatures of a mail, each of which asks for a key; one with more counts as not proven.
pub const SIGNATURES_MAX: usize = 20;

/// Whom a mail is proven to be from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The sender that it is about.
    pub identity: String,
    /// Whether the mail is proven to be theirs.
    pub is_proven: bool,
    /// What proves it, or what is missing.
    pub words: String,
}

/// Verifies mails.
pub struct Verifier {
    authenticator: MessageAuthenticator,
    server: String,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl Verifier {
    /// Returns a verifier that asks a name server, and believes the fields of `server` about the client.
    ///
    /// # Errors
    /// Words, when no resolver can be made.
    pub fn new(resolver: SocketAddr, server: &str) -> Result<Self, String> {
        let (config, options) = resolver_of(resolver, QUESTION_MAX);
        let authenticator = MessageAuthenticator::new(config, options);
        Ok(Self {
            authenticator: authenticator.map_err(|error| error.to_string())?,
            server: server.trim().to_ascii_lowercase(),
        })
    }

    /// Returns what is true of a mail.
    ///
    /// # Errors
    /// Words, when a name server did not answer: it may another time.
    pub async fn verify(&self, raw: &[u8]) -> Result<Proof, String> {
        let verified = tokio::time::timeout(VERIFY_MAX, Box::pin(self.find_out(raw))).await;
        verified.unwrap_or_else(|_| Err("verifying the mail took too long".to_owned()))
    }

    async fn find_out(&self, raw: &[u8]) -> Result<Proof, String> {
        let headers = Headers::of(raw);
        let unproven = |words: String| Proof {
            identity: String::new(),
            is_proven: false,
            words,
        };
        let address = match auth::from_address(&headers) {
            Ok(address) => address,
            Err(words) => return Ok(unproven(words)),
        };
        if headers.all("dkim-signature").count() > SIGNATURES_MAX {
            return Ok(unproven("it has too many signatures".to_owned()));
        }
        let Some(message) = AuthenticatedMessage::parse(raw) else {
            return Ok(unproven("it has no header".to_owned()));
        };
        // Two readers, one sender: what the library verifies must be what Airut believes.
        if message.froms().len() != 1 || !message.from().eq_ignore_ascii_case(&address) {
            return Ok(unproven("its From could be read in two ways".to_owned()));
        }
        let dkim = self.authenticator.verify_dkim(&message).await;
        let hop = hop::into(&headers, &self.server);
        let (spf, domain) = self.spf(hop.as_ref()).await;
        let parameters = DmarcParameters::new(&message, &dkim, &domain, &spf);
        let dmarc = self.authenticator.verify_dmarc(parameters).await;
        said(address, &dmarc, hop.is_some())
    }

    async fn spf(&self, hop: Option<&hop::Hop>) -> (SpfOutput, String) {
        let Some(hop) = hop else {
            return (SpfOutput::new(String::new()), String::new());
        };
        let domain = hop.sender.rsplit_once('@').map(|(_, domain)| domain);
        let parameters =
            SpfParameters::verify_mail_from(hop.ip, &hop.helo, &self.server, &hop.sender);
        let output = self.authenticator.verify_spf(parameters).await;
        (output, domain.unwrap_or_default().to_owned())
    }
}

/// Puts the outcome into words. A question without an answer proves nothing either way.
fn said(identity: String, dmarc: &DmarcOutput, has_hop: bool) -> Result<Proof, String> {
    let (dkim, spf) = (dmarc.dkim_result(), dmarc.spf_result());
    let is_proven = *dkim == DmarcResult::Pass || *spf == DmarcResult::Pass;
    let is_open = |result: &DmarcResult| matches!(result, DmarcResult::TempError(_));
    let (dkim_words, spf_words) = (word(dkim), if has_hop { word(spf) } else { "unknown" });
    let (domain, verdict) = (dmarc.domain(), if is_proven { "pass" } else { "fail" });
    let words = format!(
        "verified by Airut: dmarc={verdict} header.from={domain} (dkim={dkim_words}, spf={spf_words})"
    );
    if !is_proven && (is_open(dkim) || is_open(spf) || is_open(&dmarc.result())) {
        return Err(format!("a name server did not answer; {words}"));
    }
    Ok(Proof {
        identity,
        is_proven,
        words,
    })
}

fn word(result: &DmarcResult) -> &'static str {
    match result {
        DmarcResult::Pass => "pass",
        DmarcResult::Fail(_) => "fail",
        DmarcResult::TempError(_) => "temperror",
        DmarcResult::PermError(_) => "permerror",
        DmarcResult::None => "none",
    }
}
