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
    .executable(name: "volaryd", targets: ["volaryd"]),
    .executable(name: "volary-machine", targets: ["volary-machine"]),
    .executable(name: "volary-nat", targets: ["volary-nat"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    // The daemon and its clients only; machines are built without any of it.
    .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
    .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-extras", from: "1.34.1"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
    .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
  ],
  targets: [
    // The C boundary.
    .target(name: "CHost"),
    .systemLibrary(name: "CSlirp", pkgConfig: "slirp", providers: [.apt(["libslirp-dev"])]),
    // What kernels are compressed with.
    .systemLibrary(name: "CLZ4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),
    .systemLibrary(name: "CLZMA", pkgConfig: "liblzma", providers: [.apt(["liblzma-dev"])]),
    // Disks over the network; without pkg-config, which would add the shared library.
    .systemLibrary(name: "CNBD", providers: [.apt(["libnbd-dev"])]),
    .target(name: "CNBDLibraries"),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CZstandard", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),

    // The rooms, from the ground up; arrows point only downward.
    .target(name: "HostSystem", dependencies: ["CHost"], swiftSettings: hot),
    .target(name: "GuestMemory", dependencies: ["CHost", "HostSystem"], swiftSettings: hot),
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
    .target(
      name: "DiskImages", dependencies: ["CNBD", "CNBDLibraries", "CZlib", "CZstandard", "HostSystem"],
      swiftSettings: hot),
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
    // What host and guest's agent say; the agent (Guests/agent) is compiled with it too.
    .target(name: "AgentProtocol", swiftSettings: strict),
    .target(
      name: "VolaryHost",
      dependencies: ["DiskImages", "HostSystem", "KVM", "MachineControl"],
      // What goes into a guest is kept as files of its own.
      resources: [.embedInCode("Guest")],
      swiftSettings: strict),
    // The daemon: its words and its client, its frame.
    .target(
      name: "VolaryAPI",
      dependencies: [
        .product(name: "AsyncHTTPClient", package: "async-http-client"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "NIOWebSocket", package: "swift-nio"),
      ], swiftSettings: strict),
    // The web page, as files within the program.
    .target(name: "VolaryPage", resources: [.embedInCode("Files")], swiftSettings: strict),
    .target(
      name: "VolaryServer",
      dependencies: [
        "AgentProtocol", "DiskImages", "HostSystem", "MachineControl", "VolaryAPI", "VolaryHost",
        "VolaryPage",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "HummingbirdCore", package: "hummingbird"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
        .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "NIOWebSocket", package: "swift-nio"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "SwiftASN1", package: "swift-asn1"),
        .product(name: "X509", package: "swift-certificates"),
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
      ], swiftSettings: strict),
    .target(
      name: "VolaryCommands",
      dependencies: [
        "DiskImages", "HostSystem", "KVM", "MachineControl", "VolaryAPI", "VolaryHost",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "NIOCore", package: "swift-nio"),
      ],
      swiftSettings: strict),

    // One file each over the libraries.
    .executableTarget(
      name: "volary", dependencies: ["VolaryCommands"], swiftSettings: strict,
      linkerSettings: withoutSwiftLibraries + foundationParts),
    .executableTarget(
      name: "volaryd",
      dependencies: [
        "MachineControl", "VolaryAPI", "VolaryServer",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: strict, linkerSettings: withoutSwiftLibraries + foundationParts),
    .executableTarget(
      name: "volary-machine", dependencies: ["Machine", "MachineControl", "HostSystem"],
      swiftSettings: strict, linkerSettings: withoutLibraries),
    .executableTarget(
      name: "volary-nat", dependencies: ["Networking", "HostSystem"], swiftSettings: strict,
      linkerSettings: withoutSwiftLibraries),

    // Tests, a target a room. Those that start our executables do not depend on them, since that would
    // link the tests as the executables are linked; a test build makes all products anyway.
    .testTarget(
      name: "HostSystemTests", dependencies: ["HostPrograms", "HostSystem", "volary-test-support"],
      swiftSettings: strict),
    .testTarget(name: "GuestMemoryTests", dependencies: ["GuestMemory"], swiftSettings: strict),
    .testTarget(
      name: "AssemblerTests", dependencies: ["Assembler", "HostSystem"], swiftSettings: strict),
    .testTarget(name: "SoftFloatTests", dependencies: ["SoftFloat", "CHostFloat"], swiftSettings: hot),
    .testTarget(
      name: "TranslatorTests", dependencies: ["HostSystem", "Translator"], swiftSettings: hot),
    .testTarget(
      name: "RISCVTests", dependencies: ["GuestMemory", "HostPrograms", "HostSystem", "RISCV", "Translator"],
      swiftSettings: hot),
    .testTarget(
      name: "KVMTests", dependencies: ["CHost", "GuestMemory", "HostSystem", "KVM"], swiftSettings: strict),
    .testTarget(name: "DevicesTests", dependencies: ["Devices", "HostPrograms"], swiftSettings: strict),
    .testTarget(
      name: "DiskImagesTests", dependencies: ["DiskImages", "HostPrograms", "HostSystem"],
      swiftSettings: strict),
    .testTarget(
      name: "NetworkingTests",
      dependencies: ["CHost", "HostSystem", "MachineControl", "Networking"], swiftSettings: strict),
    .testTarget(
      name: "MachineControlTests", dependencies: ["MachineControl"], swiftSettings: strict),
    .testTarget(
      name: "MachineTests",
      dependencies: [
        "Devices", "GuestMemory", "HostPrograms", "HostSystem", "KVM", "Machine", "MachineControl", "RISCV",
        "Translator",
      ],
      swiftSettings: hot),
    .testTarget(
      name: "VolaryHostTests",
      dependencies: ["DiskImages", "HostPrograms", "HostSystem", "MachineControl", "VolaryHost"],
      swiftSettings: strict),
    .testTarget(
      name: "VolaryCommandsTests",
      dependencies: ["HostPrograms", "VolaryCommands", "VolaryHost", "volary-test-support"],
      swiftSettings: strict),
    // The agent is built by scripts/build-agent, beside the other programs.
    .testTarget(name: "AgentTests", dependencies: ["AgentProtocol", "HostSystem"], swiftSettings: strict),
    .testTarget(name: "VolaryAPITests", dependencies: ["VolaryAPI"], swiftSettings: strict),
    .testTarget(
      name: "VolaryServerTests",
      dependencies: [
        "HostPrograms", "VolaryAPI", "VolaryHost", "VolaryPage", "VolaryServer",
        .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "HummingbirdCore", package: "hummingbird"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
      ], swiftSettings: strict),
    // The built programs as a person uses them; they are found where the build puts them.
    .testTarget(
      name: "EndToEndTests",
      dependencies: ["CHost", "DiskImages", "HostPrograms", "HostSystem", "MachineControl"],
      swiftSettings: strict),
    // What tests run programs of the host by.
    .target(
      name: "HostPrograms", dependencies: ["HostSystem"], path: "Tests/HostPrograms", swiftSettings: strict),
    // A program for tests to start: peers that behave, misbehave and die; a sandbox to try.
    .executableTarget(
      name: "volary-test-support", dependencies: ["HostSystem", "MachineControl"], path: "Tests/Support",
      swiftSettings: strict),
    // The daemon's frame with a part that does as tests tell it.
    .executableTarget(
      name: "volary-test-daemon",
      dependencies: [
        "VolaryAPI", "VolaryServer", .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "Logging", package: "swift-log"),
      ], path: "Tests/DaemonSupport", swiftSettings: strict),
    // Random input for every reader of what guests and files say: `make fuzz`.
    .executableTarget(
      name: "volary-fuzz",
      dependencies: [
        "AgentProtocol",
        "CLZ4", "CLZMA", "CZlib", "CZstandard", "Devices", "DiskImages", "GuestMemory", "HostSystem", "KVM",
        "Machine", "MachineControl", "RISCV", "Translator", "VolaryCommands",
        "VolaryHost",
      ], path: "Fuzz", swiftSettings: strict),
    // Disk images without a guest: Benchmarks/disk.
    .executableTarget(
      name: "volary-disk-load", dependencies: ["DiskImages", "HostSystem"], path: "Benchmarks/disk_images",
      swiftSettings: strict),
    // The host's own floating-point arithmetic, with its flags: an oracle for SoftFloatTests.
    .target(name: "CHostFloat", path: "Tests/CHostFloat"),
  ]
)
