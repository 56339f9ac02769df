//! RFC 6962 leaf hashes and the compact range over stored records. It knows no store.
