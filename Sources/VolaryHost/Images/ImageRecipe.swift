internal import DiskImages

/// What this Volary puts into an image beside Debian's packages: lists and scripts of Guest/.
package enum ImageRecipe {
  /// Tells an image of this recipe from one of another; kept in its record.
  package static let fingerprint: String = {
    var fingerprint = Fingerprint()
    let files = [
      PackageResources.package_list, PackageResources.module_list, PackageResources.unpack_root,
      PackageResources.initramfs_init, PackageResources.machine_init, PackageResources.configure_packages,
    ]
    for file in files { file.withUnsafeBytes { fingerprint.add($0) } }
    return String(fingerprint.value, radix: 16)
  }()
}
