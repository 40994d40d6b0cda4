//! A device, in Entra's attributes.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Value, ValueRef};

/// A registered device, in Entra's attributes. Absent attributes are null.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Device<'r> {
    /// `deviceId`
    pub device_id: Option<&'r str>,
    /// `displayName`
    pub display_name: Option<&'r str>,
    /// `deviceOwnership`
    pub ownership: Option<&'r str>,
    /// `enrollmentProfileName`
    pub enrollment_profile: Option<&'r str>,
    /// `isCompliant`
    pub compliant: Option<bool>,
    /// `manufacturer`
    pub manufacturer: Option<&'r str>,
    /// `mdmAppId`
    pub mdm_app_id: Option<&'r str>,
    /// `model`
    pub model: Option<&'r str>,
    /// `operatingSystem`
    pub operating_system: Option<&'r str>,
    /// `operatingSystemVersion`
    pub operating_system_version: Option<&'r str>,
    /// `physicalIds`
    pub physical_ids: &'r [String],
    /// `profileType`
    pub profile_type: Option<&'r str>,
    /// `systemLabels`
    pub system_labels: &'r [String],
    /// `trustType`: `AzureAD` joined, `ServerAD` hybrid joined, `Workplace` registered.
    pub trust_type: Option<&'r str>,
    /// `extensionAttribute1` … `15`: those that have a value, by number; rules see them only on a device that is
    /// managed, compliant or hybrid joined.
    pub extension_attributes: &'r [(u8, String)],
}

impl<'r> Device<'r> {
    /// Whether the device is hybrid joined (`trustType` is `ServerAD`).
    #[must_use]
    pub fn is_hybrid_joined(&self) -> bool {
        self.trust_type.is_some_and(|kind| kind.eq_ignore_ascii_case("ServerAD"))
    }

    /// The value of one attribute.
    #[must_use]
    pub fn attribute(&self, attribute: DeviceAttribute) -> ValueRef<'r> {
        let text = |value: Option<&'r str>| value.map_or(ValueRef::Null, ValueRef::Text);
        let list =
            |items: &'r [String]| if items.is_empty() { ValueRef::Null } else { ValueRef::List(items) };
        match attribute {
            DeviceAttribute::DeviceId => text(self.device_id),
            DeviceAttribute::DisplayName => text(self.display_name),
            DeviceAttribute::DeviceOwnership => text(self.ownership),
            DeviceAttribute::EnrollmentProfileName => text(self.enrollment_profile),
            DeviceAttribute::IsCompliant => self.compliant.map_or(ValueRef::Null, ValueRef::Bool),
            DeviceAttribute::Manufacturer => text(self.manufacturer),
            DeviceAttribute::MdmAppId => text(self.mdm_app_id),
            DeviceAttribute::Model => text(self.model),
            DeviceAttribute::OperatingSystem => text(self.operating_system),
            DeviceAttribute::OperatingSystemVersion => text(self.operating_system_version),
            DeviceAttribute::PhysicalIds => list(self.physical_ids),
            DeviceAttribute::ProfileType => text(self.profile_type),
            DeviceAttribute::SystemLabels => list(self.system_labels),
            DeviceAttribute::TrustType => text(self.trust_type),
            DeviceAttribute::Extension(number) => {
                let found = self.extension_attributes.iter().find(|(known, _)| *known == number);
                text(found.map(|(_, value)| value.as_str()))
            }
        }
    }
}

/// An attribute of a device, by Entra's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceAttribute {
    /// `deviceId`
    DeviceId,
    /// `displayName`
    DisplayName,
    /// `deviceOwnership`
    DeviceOwnership,
    /// `enrollmentProfileName`
    EnrollmentProfileName,
    /// `isCompliant`
    IsCompliant,
    /// `manufacturer`
    Manufacturer,
    /// `mdmAppId`
    MdmAppId,
    /// `model`
    Model,
    /// `operatingSystem`
    OperatingSystem,
    /// `operatingSystemVersion`
    OperatingSystemVersion,
    /// `physicalIds`
    PhysicalIds,
    /// `profileType`
    ProfileType,
    /// `systemLabels`
    SystemLabels,
    /// `trustType`
    TrustType,
    /// `extensionAttribute1` … `15`, by number.
    Extension(u8),
}

impl DeviceAttribute {
    /// Those without a number, by name.
    pub const NAMED: [(&'static str, Self); 14] = [
        ("deviceId", Self::DeviceId),
        ("displayName", Self::DisplayName),
        ("deviceOwnership", Self::DeviceOwnership),
        ("enrollmentProfileName", Self::EnrollmentProfileName),
        ("isCompliant", Self::IsCompliant),
        ("manufacturer", Self::Manufacturer),
        ("mdmAppId", Self::MdmAppId),
        ("model", Self::Model),
        ("operatingSystem", Self::OperatingSystem),
        ("operatingSystemVersion", Self::OperatingSystemVersion),
        ("physicalIds", Self::PhysicalIds),
        ("profileType", Self::ProfileType),
        ("systemLabels", Self::SystemLabels),
        ("trustType", Self::TrustType),
    ];

    /// The attribute of this name, in any ASCII case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let named = Self::NAMED.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        if let Some((_, attribute)) = named {
            return Some(attribute);
        }
        let (prefix, number) = name.split_at_checked("extensionAttribute".len())?;
        let number = number.parse().ok().filter(|number| (1..=15).contains(number))?;
        prefix.eq_ignore_ascii_case("extensionAttribute").then_some(Self::Extension(number))
    }
}

/// A registered device, owned: the same attributes as [`Device`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct OwnedDevice {
    /// `deviceId`
    pub device_id: Option<String>,
    /// `displayName`
    pub display_name: Option<String>,
    /// `deviceOwnership`
    pub ownership: Option<String>,
    /// `enrollmentProfileName`
    pub enrollment_profile: Option<String>,
    /// `isCompliant`
    pub compliant: Option<bool>,
    /// `manufacturer`
    pub manufacturer: Option<String>,
    /// `mdmAppId`
    pub mdm_app_id: Option<String>,
    /// `model`
    pub model: Option<String>,
    /// `operatingSystem`
    pub operating_system: Option<String>,
    /// `operatingSystemVersion`
    pub operating_system_version: Option<String>,
    /// `physicalIds`
    pub physical_ids: Vec<String>,
    /// `profileType`
    pub profile_type: Option<String>,
    /// `systemLabels`
    pub system_labels: Vec<String>,
    /// `trustType`
    pub trust_type: Option<String>,
    /// `extensionAttribute1` … `15`: those that have a value, by number.
    pub extension_attributes: Vec<(u8, String)>,
}

impl OwnedDevice {
    /// The device as signals borrow it.
    #[must_use]
    pub fn as_device(&self) -> Device<'_> {
        Device {
            device_id: self.device_id.as_deref(),
            display_name: self.display_name.as_deref(),
            ownership: self.ownership.as_deref(),
            enrollment_profile: self.enrollment_profile.as_deref(),
            compliant: self.compliant,
            manufacturer: self.manufacturer.as_deref(),
            mdm_app_id: self.mdm_app_id.as_deref(),
            model: self.model.as_deref(),
            operating_system: self.operating_system.as_deref(),
            operating_system_version: self.operating_system_version.as_deref(),
            physical_ids: &self.physical_ids,
            profile_type: self.profile_type.as_deref(),
            system_labels: &self.system_labels,
            trust_type: self.trust_type.as_deref(),
            extension_attributes: &self.extension_attributes,
        }
    }

    /// Sets an attribute; `None`, or a value of another kind than it holds, makes it null.
    pub fn set(&mut self, attribute: DeviceAttribute, value: Option<Value>) {
        let (mut text, mut truth, mut list) = (None, None, Vec::new());
        match value {
            Some(Value::Text(value)) => text = Some(value),
            Some(Value::Bool(value)) => truth = Some(value),
            Some(Value::List(values)) => list = values,
            Some(Value::Number(_)) | None => {}
        }
        match attribute {
            DeviceAttribute::DeviceId => self.device_id = text,
            DeviceAttribute::DisplayName => self.display_name = text,
            DeviceAttribute::DeviceOwnership => self.ownership = text,
            DeviceAttribute::EnrollmentProfileName => self.enrollment_profile = text,
            DeviceAttribute::IsCompliant => self.compliant = truth,
            DeviceAttribute::Manufacturer => self.manufacturer = text,
            DeviceAttribute::MdmAppId => self.mdm_app_id = text,
            DeviceAttribute::Model => self.model = text,
            DeviceAttribute::OperatingSystem => self.operating_system = text,
            DeviceAttribute::OperatingSystemVersion => self.operating_system_version = text,
            DeviceAttribute::PhysicalIds => self.physical_ids = list,
            DeviceAttribute::ProfileType => self.profile_type = text,
            DeviceAttribute::SystemLabels => self.system_labels = list,
            DeviceAttribute::TrustType => self.trust_type = text,
            DeviceAttribute::Extension(number) => {
                self.extension_attributes.retain(|(known, _)| *known != number);
                self.extension_attributes.extend(text.map(|text| (number, text)));
            }
        }
    }
}
