// swift-tools-version: 6.2
import PackageDescription

/// Language settings that every target shares.
let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .treatAllWarnings(as: .error),
]

/// Settings of the targets that run guest code or parse guest data: optimized in debug builds
/// too, because an unoptimized interpreter is two dozen times slower.
let hot: [SwiftSetting] = strict + [.unsafeFlags(["-O"], .when(configuration: .debug))]

let package = Package(
  name: "volary",
  products: [
    .executable(name: "volary", targets: ["volary"]),
    .executable(name: "volary-machine", targets: ["volary-machine"]),
    .executable(name: "volary-nat", targets: ["volary-nat"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
  ],
  targets: [
    // The C boundary.
    .target(name: "CHost"),
    .systemLibrary(name: "CSlirp", pkgConfig: "slirp", providers: [.apt(["libslirp-dev"])]),

    // The rooms, from the ground up; arrows point only downward.
    .target(name: "HostSystem", dependencies: ["CHost"], swiftSettings: hot),
    .target(name: "GuestMemory", dependencies: ["HostSystem"], swiftSettings: hot),
    .target(name: "Assembler", swiftSettings: hot),
    .target(name: "SoftFloat", swiftSettings: hot),
    .target(
      name: "Translator", dependencies: ["Assembler", "CHost", "GuestMemory", "HostSystem"],
      swiftSettings: hot),
    .target(
      name: "RISCV", dependencies: ["CHost", "GuestMemory", "HostSystem", "SoftFloat", "Translator"],
      swiftSettings: hot),
    .target(name: "Devices", dependencies: ["GuestMemory", "HostSystem"], swiftSettings: hot),
    .target(name: "DiskImages", dependencies: ["HostSystem"], swiftSettings: hot),
    .target(name: "Networking", dependencies: ["CSlirp", "HostSystem"], swiftSettings: hot),
    .target(name: "MachineControl", dependencies: ["HostSystem"], swiftSettings: strict),
    .target(
      name: "Machine",
      dependencies: [
        "Devices", "DiskImages", "GuestMemory", "HostSystem", "MachineControl", "RISCV", "Translator",
      ],
      swiftSettings: hot),
    .target(
      name: "VolaryCommands",
      dependencies: [
        "DiskImages", "HostSystem", "MachineControl",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict),

    // One file each over the libraries.
    .executableTarget(
      name: "volary", dependencies: ["VolaryCommands"], swiftSettings: strict),
    .executableTarget(
      name: "volary-machine", dependencies: ["Machine", "MachineControl", "HostSystem"],
      swiftSettings: strict, linkerSettings: [.unsafeFlags(["-static-executable"])]),
    .executableTarget(
      name: "volary-nat", dependencies: ["Networking", "HostSystem"], swiftSettings: strict),

    // Tests, a target a room.
    .testTarget(name: "HostSystemTests", dependencies: ["HostSystem"], swiftSettings: strict),
    .testTarget(name: "GuestMemoryTests", dependencies: ["GuestMemory"], swiftSettings: strict),
    .testTarget(name: "AssemblerTests", dependencies: ["Assembler"], swiftSettings: strict),
    .testTarget(name: "SoftFloatTests", dependencies: ["SoftFloat", "CHostFloat"], swiftSettings: hot),
    .testTarget(
      name: "TranslatorTests", dependencies: ["HostSystem", "Translator"], swiftSettings: hot),
    .testTarget(
      name: "RISCVTests", dependencies: ["GuestMemory", "HostSystem", "RISCV", "Translator"],
      swiftSettings: hot),
    .testTarget(name: "DevicesTests", dependencies: ["Devices"], swiftSettings: strict),
    .testTarget(name: "DiskImagesTests", dependencies: ["DiskImages"], swiftSettings: strict),
    .testTarget(name: "NetworkingTests", dependencies: ["Networking"], swiftSettings: strict),
    .testTarget(
      name: "MachineControlTests", dependencies: ["MachineControl"], swiftSettings: strict),
    .testTarget(
      name: "MachineTests",
      dependencies: ["Devices", "GuestMemory", "HostSystem", "Machine", "RISCV", "Translator"],
      swiftSettings: hot),
    .testTarget(name: "VolaryCommandsTests", dependencies: ["VolaryCommands"], swiftSettings: strict),
    // The host's own floating-point arithmetic, with its flags: an oracle for SoftFloatTests.
    .target(name: "CHostFloat", path: "Tests/CHostFloat"),
  ]
)
