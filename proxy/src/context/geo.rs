//! Address to country, by an MMDB file that is read whole at load.

use std::net::IpAddr;
use std::path::Path;

use maxminddb::{PathElement, Reader, WithinOptions};
use portcullis_config::file;
use portcullis_policy::model::CountryCode;
use portcullis_policy::signals::Fact;

/// The largest database, in bytes; those of whole networks' makers have half as many.
const BYTES_MAX: u64 = 1 << 30;
/// How many records may be without a country before a database is taken for one of something else.
const RECORDS_LOOKED_AT: usize = 100_000;

/// Whether countries are known.
#[derive(Debug)]
pub enum GeoState {
    /// No database is configured: no country is known, and none is owed.
    NotConfigured,
    /// A database is configured and not at hand: whoever serves refuses to start.
    Missing,
    /// A database is at hand.
    Ready(Box<GeoDatabase>),
}

impl GeoState {
    /// When the database was built by its maker, in Unix seconds.
    #[must_use]
    pub fn built(&self) -> Option<u64> {
        match self {
            Self::NotConfigured | Self::Missing => None,
            Self::Ready(database) => Some(database.reader.metadata().build_epoch),
        }
    }

    /// The country of an address.
    #[must_use]
    pub fn country(&self, address: IpAddr) -> Fact<CountryCode> {
        match self {
            Self::NotConfigured => Fact::Unknown,
            Self::Missing => Fact::Unavailable,
            Self::Ready(database) => database.lookup(address),
        }
    }
}

/// A country database.
#[derive(Debug)]
pub struct GeoDatabase {
    reader: Reader<Vec<u8>>,
    path: Vec<String>,
    ipv4_only: bool,
}

/// Why a file is no country database.
#[derive(Debug, thiserror::Error)]
pub enum GeoError {
    /// The file cannot be read.
    #[error("{0}")]
    File(#[from] std::io::Error),
    /// The file cannot be read as MMDB.
    #[error("not a readable MMDB file: {0}")]
    Format(#[from] maxminddb::MaxMindDbError),
    /// It is a database of something else: by it every address would be of no country.
    #[error("a database of type `{kind}`, in which no address has a country at `{path}`")]
    Kind {
        /// What it says that it is.
        kind: String,
        /// Where a country was looked for.
        path: String,
    },
}

impl GeoDatabase {
    /// Reads a file; `path` leads to the ISO code within a record, such as `country`, `iso_code`.
    ///
    /// # Errors
    /// When the file cannot be read as MMDB, or has no countries.
    pub fn open(file: &Path, path: &[String]) -> Result<Self, GeoError> {
        let reader = Reader::from_source(file::read(file, BYTES_MAX)?)?;
        let ipv4_only = reader.metadata().ip_version == 4;
        let database = Self { reader, path: path.to_vec(), ipv4_only };
        if database.has_countries()? {
            return Ok(database);
        }
        let kind =
            database.reader.metadata().database_type.chars().filter(|c| !c.is_control()).take(64).collect();
        Err(GeoError::Kind { kind, path: path.join(".") })
    }

    /// Whether one of its first records has a country.
    fn has_countries(&self) -> Result<bool, GeoError> {
        let path: Vec<PathElement<'_>> = self.path.iter().map(|key| PathElement::Key(key)).collect();
        for network in self.reader.networks(WithinOptions::default())?.take(RECORDS_LOOKED_AT) {
            if let Ok(Some(code)) = network?.decode_path::<&str>(&path)
                && CountryCode::new(code).is_some()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The country of an address: unknown when the database has none, unavailable when its record
    /// cannot be read.
    #[must_use]
    pub fn lookup(&self, address: IpAddr) -> Fact<CountryCode> {
        let address = address.to_canonical();
        if self.ipv4_only && address.is_ipv6() {
            return Fact::Unknown;
        }
        let Ok(found) = self.reader.lookup(address) else { return Fact::Unavailable };
        if !found.has_data() {
            return Fact::Unknown;
        }
        let path: Vec<PathElement<'_>> = self.path.iter().map(|key| PathElement::Key(key)).collect();
        match found.decode_path::<&str>(&path) {
            Ok(Some(code)) => CountryCode::new(code).map_or(Fact::Unavailable, Fact::Known),
            Ok(None) => Fact::Unknown,
            Err(_) => Fact::Unavailable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database() -> GeoDatabase {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/GeoIP2-Country-Test.mmdb");
        GeoDatabase::open(&file, &["country".to_owned(), "iso_code".to_owned()]).unwrap()
    }

    #[test]
    fn an_address_has_the_country_of_its_network_or_none() {
        let database = database();
        let known = |text: &str| Fact::Known(CountryCode::new(text).unwrap());
        assert_eq!(database.lookup("81.2.69.142".parse().unwrap()), known("GB"));
        assert_eq!(database.lookup("::ffff:81.2.69.142".parse().unwrap()), known("GB"));
        assert_eq!(database.lookup("2001:218::1".parse().unwrap()), known("JP"));
        assert_eq!(database.lookup("10.0.0.1".parse().unwrap()), Fact::Unknown);
    }

    #[test]
    fn a_file_that_is_no_database_is_refused() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        assert!(GeoDatabase::open(&file, &[]).is_err());
    }
}
