//! The two macros that give every event payload the same derives and every family its enum.
//! They know no particular event.

/// Derives what every piece of event data needs: archiving, comparison, printing and JSON.
macro_rules! data {
    ($($item:item)*) => {
        $(
            #[derive(
                Debug, Clone, PartialEq, Eq,
                rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
                serde::Serialize, serde::Deserialize,
            )]
            #[rkyv(attr(allow(missing_docs, reason = "documented on the type it is the archive of")))]
            $item
        )*
    };
}
pub(crate) use data;
