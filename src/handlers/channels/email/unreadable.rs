//! Parts that hold a text which only others can read: said in words, so that such a mail does not
//! look like an empty one. Pure.

use mail_parser::{Message, MessagePart, MimeHeaders as _};

/// Says what of a mail cannot be read, if anything.
pub fn words(mail: &Message<'_>) -> Option<&'static str> {
    mail.parts.iter().find_map(of_part)
}

fn of_part(part: &MessagePart<'_>) -> Option<&'static str> {
    let kind = part.content_type()?;
    let main = kind.ctype().to_ascii_lowercase();
    let subtype = kind.subtype().unwrap_or_default().to_ascii_lowercase();
    let smime = kind.attribute("smime-type").unwrap_or_default();
    match (main.as_str(), subtype.as_str()) {
        ("multipart", "encrypted") => Some(
            "[this mail is encrypted with PGP, and its text cannot be read here; it must be sent \
             again without encryption]",
        ),
        ("application", "pkcs7-mime" | "x-pkcs7-mime")
            if !smime.eq_ignore_ascii_case("signed-data") =>
        {
            Some(
                "[this mail is encrypted with S/MIME, and its text cannot be read here; it must be \
                 sent again without encryption]",
            )
        }
        ("application", "pkcs7-mime" | "x-pkcs7-mime") => Some(
            "[this mail is signed in a form that hides its text (opaque S/MIME); it must be sent \
             again unsigned or signed in clear]",
        ),
        ("application", "ms-tnef" | "vnd.ms-tnef") => Some(
            "[Outlook sent text or files of this mail as winmail.dat (TNEF), which is attached but \
             cannot be unpacked here; it must be sent again as HTML or plain text]",
        ),
        _ => None,
    }
}
