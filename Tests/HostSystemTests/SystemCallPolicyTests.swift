import HostSystem
import Testing

/// The assembled filter, run by an interpreter of classic BPF written from linux/bpf_common.h.
@Suite struct SystemCallPolicyTests {
  private static let kill: UInt32 = 0x8000_0000
  private static let allow: UInt32 = 0x7fff_0000
  private static func refuse(_ code: UInt32) -> UInt32 { 0x5_0000 | code }

  /// `struct seccomp_data`: number, architecture, instruction pointer, six arguments.
  private func decide(
    _ number: UInt32, _ arguments: [UInt64] = [], architecture: UInt32? = nil, deviceRequests: [UInt32] = [],
    listener: Int32? = nil
  ) throws -> UInt32 {
    #if arch(x86_64)
      let ours: UInt32 = 0xc000_003e
    #else
      let ours: UInt32 = 0xc000_00b7
    #endif
    var data: [UInt32] = [number, architecture ?? ours, 0, 0]
    for index in 0..<6 {
      let argument = index < arguments.count ? arguments[index] : 0
      data += [UInt32(truncatingIfNeeded: argument), UInt32(argument >> 32)]
    }
    let program = SystemCallPolicy.machine(
      defaultAction: .kill, deviceRequests: deviceRequests, listener: listener
    ).assemble()
    var accumulator: UInt32 = 0
    var next = 0
    for _ in 0..<program.count {
      let instruction = program[next]
      next += 1
      switch instruction.code {
      case 0x20:
        #expect(instruction.k % 4 == 0)
        accumulator = data[Int(instruction.k / 4)]
      case 0x54: accumulator &= instruction.k
      case 0x15:
        next += Int(accumulator == instruction.k ? instruction.jumpTrue : instruction.jumpFalse)
      case 0x35:
        next += Int(accumulator >= instruction.k ? instruction.jumpTrue : instruction.jumpFalse)
      case 0x06: return instruction.k
      default: Issue.record("unknown instruction \(instruction)")
      }
    }
    Issue.record("the filter does not end")
    return 0
  }

  #if arch(x86_64)
    @Test func refusesOtherArchitecturesAndX32() throws {
      #expect(try decide(0) == Self.allow)  // read
      #expect(try decide(0, architecture: 0x4000_0003) == Self.kill)  // i386's restart_syscall
      #expect(try decide(0x4000_0000) == Self.kill)  // x32's read
      #expect(try decide(0x4000_0000 | 520) == Self.kill)  // x32's execve
      #expect(try decide(59) == Self.kill)  // execve
      #expect(try decide(322) == Self.kill)  // execveat
      #expect(try decide(435) == Self.refuse(38))  // clone3: ENOSYS
      #expect(try decide(9999) == Self.kill)
    }

    @Test(arguments: [(9, 2), (10, 2), (329, 2)] as [(UInt32, Int)])
    func refusesExecutableMemory(_ number: UInt32, _ argument: Int) throws {
      for protection in UInt64(0)...7 {
        for high in [0, UInt64(1) << 32] {
          let arguments = [0, 4096, protection | high, 0x22]
          let expected = protection & 4 == 0 ? Self.allow : Self.kill
          #expect(try decide(number, arguments) == expected)
        }
      }
    }

    @Test func allowsThreadsAndNoProcesses() throws {
      let pthread: UInt64 = 0x3d0f00  // what glibc's pthread_create asks for
      #expect(try decide(56, [pthread]) == Self.allow)
      #expect(try decide(56, [17]) == Self.kill)  // fork: SIGCHLD
      #expect(try decide(56, [0x4100 | 17]) == Self.kill)  // vfork
      #expect(try decide(56, [pthread | 0x1000_0000]) == Self.kill)  // with a user namespace
      #expect(try decide(56, [pthread & ~0x10000]) == Self.kill)  // shared memory, another process
    }

    @Test func allowsRequestsToDevicesByName() throws {
      let terminal: UInt64 = 0x5401  // TCGETS
      let runGuest: UInt64 = 0xAE80  // KVM_RUN
      #expect(try decide(16, [3, terminal]) == Self.refuse(25))
      #expect(try decide(16, [3, runGuest]) == Self.refuse(25))
      // The most that a rule has been asked for.
      let requests = (0..<45).map { UInt32(0xAE80 - $0) }
      #expect(try decide(16, [3, runGuest], deviceRequests: requests) == Self.allow)
      #expect(try decide(16, [3, 0xAE80 - 44], deviceRequests: requests) == Self.allow)
      #expect(try decide(16, [3, 0xAE80 - 45], deviceRequests: requests) == Self.refuse(25))
      #expect(try decide(16, [3, terminal], deviceRequests: requests) == Self.refuse(25))
      #expect(try decide(0, deviceRequests: requests) == Self.allow)
    }

    @Test func acceptsConnectionsOnOneListener() throws {
      #expect(try decide(288, [4]) == Self.kill)  // accept4
      #expect(try decide(288, [4], listener: 4) == Self.allow)
      #expect(try decide(288, [5], listener: 4) == Self.kill)
      #expect(try decide(43, [4], listener: 4) == Self.kill)  // accept
      #expect(try decide(49, [4], listener: 4) == Self.kill)  // bind
      #expect(try decide(50, [4], listener: 4) == Self.kill)  // listen
    }

    @Test func looksAtBothHalvesOfAPointer() throws {
      #expect(try decide(302, [0, 7, 0]) == Self.allow)  // prlimit64, asking
      #expect(try decide(302, [0, 7, 0x10]) == Self.refuse(1))
      #expect(try decide(302, [0, 7, 0x10_0000_0000]) == Self.refuse(1))
    }
  #endif
}
