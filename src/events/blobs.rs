//! Content-addressed bodies: a file per body, named by its SHA-256. It knows no event.
