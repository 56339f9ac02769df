//! What a record says of itself. The form is that of the log's documentation: five little-endian
//! numbers, four texts, the kind.

/// Returns a record in words; it must say that it stands where the proof has it.
pub(crate) fn describe(record: &[u8], index: u64) -> Result<String, String> {
    let malformed = || "the record is malformed".to_owned();
    let mut rest = record;
    let position = number(&mut rest).ok_or_else(malformed)?;
    let version = number(&mut rest).ok_or_else(malformed)?;
    let at_ms = number(&mut rest).ok_or_else(malformed)?;
    let _causation = number(&mut rest).ok_or_else(malformed)?;
    let _rest_of_append = short(&mut rest).ok_or_else(malformed)?;
    let stream = text(&mut rest).ok_or_else(malformed)?;
    let actor = text(&mut rest).ok_or_else(malformed)?;
    let _correlation = text(&mut rest).ok_or_else(malformed)?;
    let _key = text(&mut rest).ok_or_else(malformed)?;
    let kind = short(&mut rest).ok_or_else(malformed)?;
    if position.checked_sub(1) != Some(index) {
        return Err(format!(
            "the record says that it stands at {position}, the proof at {index} from 0"
        ));
    }
    let bytes = record.len();
    Ok(format!(
        "position {position}: event of kind {kind}, number {version} of stream {stream}, recorded at \
         {at_ms} ms for {actor}, {bytes} bytes"
    ))
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let (bytes, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(u64::from_le_bytes(*bytes))
}

fn short(rest: &mut &[u8]) -> Option<u16> {
    let (bytes, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(u16::from_le_bytes(*bytes))
}

/// What strangers wrote into a text does not move the terminal's cursor.
fn text(rest: &mut &[u8]) -> Option<String> {
    let length = short(rest)?;
    let (bytes, tail) = rest.split_at_checked(usize::from(length))?;
    *rest = tail;
    let text = String::from_utf8_lossy(bytes);
    Some(text.replace(char::is_control, " "))
}
