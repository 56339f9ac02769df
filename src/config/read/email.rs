//! `repos.<id>.email`: a mailbox and who may write to it. Pure.

use lettre::Address;
use lettre::message::Mailbox;
use secrecy::SecretString;

use crate::config::read::repo::refuse_unsupported;
use crate::config::read::{port, text};
use crate::config::section::{Scalar, Section};
use crate::config::types::{Email, EmailAuth, Imap, MailTls, Smtp};
use crate::config::yaml::Problem;

/// The words of the `tls` keys.
const TLS: [(&str, MailTls); 2] = [
    ("implicit", MailTls::Implicit),
    ("starttls", MailTls::StartTls),
];

/// Longest interval in seconds, a week; a longer one is an error.
const INTERVAL_S_MAX: f64 = 604_800.0;

/// Reads a mailbox.
pub(super) fn email(mut section: Section) -> Result<Email, Problem> {
    refuse_unsupported(&mut section, "microsoft_oauth2")?;
    let mut account = required_section(&mut section, "account")?;
    let mut imap = required_section(&mut section, "imap")?;
    let mut smtp = required_section(&mut section, "smtp")?;
    let mut auth = required_section(&mut section, "auth")?;
    let email = Email {
        username: account.required("username")?.text,
        from: mailbox(&account.required("from")?)?,
        password: Some(SecretString::from(account.required("password")?.text)),
        imap: read_imap(&mut imap)?,
        smtp: read_smtp(&mut smtp)?,
        auth: read_auth(&mut auth)?,
        tls_ca_file: text(section.scalar("tls_ca_file")?).map(Into::into),
    };
    for part in [account, imap, smtp, auth, section] {
        part.end()?;
    }
    Ok(email)
}

/// Reads the `From` of answers; without a good one every answer would be refused.
fn mailbox(scalar: &Scalar) -> Result<String, Problem> {
    let expected = "an address, for example airut@example.com or \"Airut <airut@example.com>\"";
    scalar.parse::<Mailbox>(expected)?;
    Ok(scalar.text.trim().to_owned())
}

/// Reads who may write: an address, or `*@` and a domain.
fn sender(scalar: &Scalar) -> Result<String, Problem> {
    let pattern = scalar.text.trim();
    let address = match pattern.strip_prefix("*@") {
        Some(domain) => format!("anybody@{domain}"),
        None => pattern.to_owned(),
    };
    match address.parse::<Address>() {
        Ok(_) if !address.contains('*') => Ok(pattern.to_owned()),
        Ok(_) | Err(_) => {
            let what = format!(
                "names {pattern:?}, which is neither an address nor *@ and a domain, for example \
                 alice@example.com or *@example.com"
            );
            Err(scalar.problem(&what))
        }
    }
}

fn required_section(section: &mut Section, key: &'static str) -> Result<Section, Problem> {
    let (place, path) = (section.place(), section.path_of(key));
    let missing = || Problem::at(place, format!("{path} is required"));
    section.section(key)?.ok_or_else(missing)
}

fn read_imap(section: &mut Section) -> Result<Imap, Problem> {
    let server = section.required("server")?.text;
    let number = section
        .scalar("port")?
        .map(|scalar| port(&scalar))
        .transpose()?
        .unwrap_or(993);
    let tls = section
        .scalar("tls")?
        .map(|scalar| scalar.choice(&TLS))
        .transpose()?;
    let by_port = if number == 143 {
        MailTls::StartTls
    } else {
        MailTls::Implicit
    };
    let mut imap = Imap {
        server,
        port: number,
        tls: tls.unwrap_or(by_port),
        connect_retries: 3,
        poll_interval_s: 60.0,
        use_idle: true,
        idle_reconnect_interval_s: 1740.0,
    };
    if let Some(scalar) = section.scalar("connect_retries")? {
        imap.connect_retries = scalar.integer(1, 1000)? as u32;
    }
    if let Some(scalar) = section.scalar("poll_interval")? {
        imap.poll_interval_s = scalar.number(0.1, INTERVAL_S_MAX)?;
    }
    if let Some(scalar) = section.scalar("use_idle")? {
        imap.use_idle = scalar.boolean()?;
    }
    if let Some(scalar) = section.scalar("idle_reconnect_interval")? {
        imap.idle_reconnect_interval_s = scalar.number(60.0, INTERVAL_S_MAX)?;
    }
    Ok(imap)
}

fn read_smtp(section: &mut Section) -> Result<Smtp, Problem> {
    let server = section.required("server")?.text;
    let number = section
        .scalar("port")?
        .map(|scalar| port(&scalar))
        .transpose()?
        .unwrap_or(587);
    let tls = section
        .scalar("tls")?
        .map(|scalar| scalar.choice(&TLS))
        .transpose()?;
    let by_port = if number == 465 {
        MailTls::Implicit
    } else {
        MailTls::StartTls
    };
    let auth = section
        .scalar("require_auth")?
        .map(|scalar| scalar.boolean())
        .transpose()?;
    let (tls, require_auth) = (tls.unwrap_or(by_port), auth.unwrap_or(true));
    Ok(Smtp {
        server,
        port: number,
        tls,
        require_auth,
    })
}

fn read_auth(section: &mut Section) -> Result<EmailAuth, Problem> {
    let (place, path) = (section.place(), section.path_of("authorized_senders"));
    let senders = section
        .scalars("authorized_senders")?
        .filter(|senders| !senders.is_empty());
    let missing = || Problem::at(place, format!("{path} must name at least one sender"));
    let senders = senders.ok_or_else(missing)?;
    let authorized_senders = senders.iter().map(sender).collect::<Result<_, _>>()?;
    let path = section.path_of("trusted_authserv_id");
    // An empty text is an answer here: any server's verdict counts (spec row EML-14).
    let trusted = section.scalar("trusted_authserv_id")?;
    let missing = || {
        let what = format!(
            "{path} is required: the name your mail server writes into \
             Authentication-Results, or \"\" to trust any"
        );
        Problem::at(place, what)
    };
    let trusted_authserv_id = trusted.ok_or_else(missing)?.text;
    let fallback = section.scalar("microsoft_internal_fallback")?;
    let fallback = fallback
        .map(|scalar| scalar.boolean())
        .transpose()?
        .unwrap_or(false);
    Ok(EmailAuth {
        authorized_senders,
        trusted_authserv_id,
        microsoft_internal_fallback: fallback,
    })
}
