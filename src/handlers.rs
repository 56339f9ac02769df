//! WHAT TO DO NEXT: decisions are pure (`decide`, `react`, `plan`), their siblings are the shell
//! that performs them. This room names no command line and is named by none of the other rooms.

pub mod channels;
