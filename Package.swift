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
/// Exclusive access is checked by the compiler alone there: at run time it costs a table look-up for
/// each access to a class's storage.
let hot: [SwiftSetting] =
  strict + [
    .unsafeFlags(["-O"], .when(configuration: .debug)),
    .unsafeFlags(["-enforce-exclusivity=unchecked"]),
  ]

/// How executables are linked: `volary` and `volary-nat` run where Swift is not installed;
/// `volary-machine` needs nothing of its host at all, not even a C library, and starts in half a
/// millisecond.
let withoutSwiftLibraries: [LinkerSetting] = [.unsafeFlags(["-static-stdlib"])]
/// Foundation's own parts, which only a compilation for static linking would name.
let foundationParts: [LinkerSetting] = [
  "CoreFoundation", "_FoundationCShims", "_FoundationCollections", "_FoundationICU",
].map { .linkedLibrary($0) }
let withoutLibraries: [LinkerSetting] = [.unsafeFlags(["-static-executable"])]

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
    // What kernels are compressed with.
    .systemLibrary(name: "CLZ4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),
    .systemLibrary(name: "CLZMA", pkgConfig: "liblzma", providers: [.apt(["liblzma-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CZstandard", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),

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
    .target(name: "KVM", dependencies: ["CHost", "GuestMemory", "HostSystem"], swiftSettings: hot),
    .target(name: "Devices", dependencies: ["GuestMemory", "HostSystem"], swiftSettings: hot),
    .target(name: "DiskImages", dependencies: ["HostSystem"], swiftSettings: hot),
    .target(
      name: "Networking", dependencies: ["CHost", "CSlirp", "HostSystem", "MachineControl"],
      swiftSettings: hot),
    .target(name: "MachineControl", dependencies: ["HostSystem"], swiftSettings: strict),
    .target(
      name: "Machine",
      dependencies: [
        "CLZ4", "CLZMA", "CZlib", "CZstandard", "Devices", "DiskImages", "GuestMemory", "HostSystem", "KVM",
        "MachineControl", "RISCV", "Translator",
      ],
      swiftSettings: hot),
    .target(
      name: "VolaryCommands",
      dependencies: [
        "DiskImages", "HostSystem", "KVM", "MachineControl",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      // A link to Guests/debian: what goes into a guest is kept as files of its own.
      resources: [.embedInCode("Guest")],
      swiftSettings: strict),

    // One file each over the libraries.
    .executableTarget(
      name: "volary", dependencies: ["VolaryCommands"], swiftSettings: strict,
      linkerSettings: withoutSwiftLibraries + foundationParts),
    .executableTarget(
      name: "volary-machine", dependencies: ["Machine", "MachineControl", "HostSystem"],
      swiftSettings: strict, linkerSettings: withoutLibraries),
    .executableTarget(
      name: "volary-nat", dependencies: ["Networking", "HostSystem"], swiftSettings: strict,
      linkerSettings: withoutSwiftLibraries),

    // Tests, a target a room. Those that start our executables do not depend on them, since that would
    // link the tests as the executables are linked; a test build makes all products anyway.
    .testTarget(
      name: "HostSystemTests", dependencies: ["HostSystem", "volary-test-support"], swiftSettings: strict),
    .testTarget(name: "GuestMemoryTests", dependencies: ["GuestMemory"], swiftSettings: strict),
    .testTarget(
      name: "AssemblerTests", dependencies: ["Assembler", "HostSystem"], swiftSettings: strict),
    .testTarget(name: "SoftFloatTests", dependencies: ["SoftFloat", "CHostFloat"], swiftSettings: hot),
    .testTarget(
      name: "TranslatorTests", dependencies: ["HostSystem", "Translator"], swiftSettings: hot),
    .testTarget(
      name: "RISCVTests", dependencies: ["GuestMemory", "HostSystem", "RISCV", "Translator"],
      swiftSettings: hot),
    .testTarget(
      name: "KVMTests", dependencies: ["CHost", "GuestMemory", "HostSystem", "KVM"], swiftSettings: strict),
    .testTarget(name: "DevicesTests", dependencies: ["Devices"], swiftSettings: strict),
    .testTarget(
      name: "DiskImagesTests", dependencies: ["DiskImages", "HostSystem"], swiftSettings: strict),
    .testTarget(
      name: "NetworkingTests",
      dependencies: ["CHost", "HostSystem", "MachineControl", "Networking"], swiftSettings: strict),
    .testTarget(
      name: "MachineControlTests", dependencies: ["MachineControl"], swiftSettings: strict),
    .testTarget(
      name: "MachineTests",
      dependencies: ["Devices", "GuestMemory", "HostSystem", "KVM", "Machine", "RISCV", "Translator"],
      swiftSettings: hot),
    .testTarget(
      name: "VolaryCommandsTests", dependencies: ["VolaryCommands", "volary-test-support"],
      swiftSettings: strict),
    // The built programs as a person uses them; they are found where the build puts them.
    .testTarget(
      name: "EndToEndTests", dependencies: ["CHost", "HostSystem"], swiftSettings: strict),
    // A program for tests to start: peers that behave, misbehave and die; a sandbox to try.
    .executableTarget(
      name: "volary-test-support", dependencies: ["HostSystem", "MachineControl"], path: "Tests/Support",
      swiftSettings: strict),
    // Random input for every reader of what guests and files say: `make fuzz`.
    .executableTarget(
      name: "volary-fuzz",
      dependencies: [
        "CLZ4", "CLZMA", "CZlib", "CZstandard", "Devices", "DiskImages", "GuestMemory", "HostSystem", "KVM",
        "Machine", "MachineControl", "RISCV", "Translator", "VolaryCommands",
      ], path: "Fuzz", swiftSettings: strict),
    // The host's own floating-point arithmetic, with its flags: an oracle for SoftFloatTests.
    .target(name: "CHostFloat", path: "Tests/CHostFloat"),
  ]
)
