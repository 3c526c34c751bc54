//! What goes into statements and comes out of rows, whichever database it is.

use super::DatabaseError;

/// One value. There are no others in our tables, and no NULL.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::directory) enum Value {
    Int(i64),
    Bytes(Vec<u8>),
    Text(String),
}

/// `values![a, b]`: the values of `$1`, `$2`.
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$($crate::directory::database::Value::from($value)),*] };
}
pub(in crate::directory) use values;

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Int(_) => "Int(..)",
            Self::Bytes(_) => "Bytes(..)",
            Self::Text(_) => "Text(..)",
        })
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Bytes(value.to_owned())
    }
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(value: &[u8; N]) -> Self {
        value.as_slice().into()
    }
}

impl TryFrom<Value> for i64 {
    type Error = DatabaseError;

    fn try_from(value: Value) -> Result<Self, DatabaseError> {
        if let Value::Int(value) = value { Ok(value) } else { Err(DatabaseError::Malformed) }
    }
}

impl TryFrom<Value> for String {
    type Error = DatabaseError;

    fn try_from(value: Value) -> Result<Self, DatabaseError> {
        if let Value::Text(value) = value { Ok(value) } else { Err(DatabaseError::Malformed) }
    }
}

impl TryFrom<Value> for Vec<u8> {
    type Error = DatabaseError;

    fn try_from(value: Value) -> Result<Self, DatabaseError> {
        if let Value::Bytes(value) = value { Ok(value) } else { Err(DatabaseError::Malformed) }
    }
}

impl<const N: usize> TryFrom<Value> for [u8; N] {
    type Error = DatabaseError;

    fn try_from(value: Value) -> Result<Self, DatabaseError> {
        Vec::try_from(value)?.try_into().map_err(|_| DatabaseError::Malformed)
    }
}

/// One row, read from its first column to its last.
pub(in crate::directory) struct Record(std::vec::IntoIter<Value>);

impl Record {
    pub(super) fn new(values: Vec<Value>) -> Self {
        Self(values.into_iter())
    }

    /// The next column.
    pub(in crate::directory) fn take<T: TryFrom<Value, Error = DatabaseError>>(&mut self) -> Result<T, DatabaseError> {
        self.0.next().ok_or(DatabaseError::Malformed)?.try_into()
    }
}
