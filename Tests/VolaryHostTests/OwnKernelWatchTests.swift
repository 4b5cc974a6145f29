import Testing
import VolaryHost

@Suite struct OwnKernelWatchTests {
  private static let second: UInt64 = 1_000_000_000

  @Test func silenceIsToldOnce() {
    var watch = OwnKernelWatch(now: 0)
    #expect(watch.nextLook(standsStill: false) == OwnKernelWatch.silence)
    #expect(watch.look(at: OwnKernelWatch.silence - 1, panic: nil) == nil)
    // Words on a console that nobody sees are silence too.
    watch.heard(at: 1, isShown: false)
    #expect(watch.look(at: OwnKernelWatch.silence, panic: nil) == .silent)
    #expect(watch.nextLook(standsStill: false) == nil)
    #expect(watch.look(at: .max, panic: nil) == nil)
  }

  @Test func aWordSettlesIt() {
    var watch = OwnKernelWatch(now: 0)
    watch.heard(at: 5, isShown: true)
    #expect(watch.nextLook(standsStill: false) == nil)
    #expect(watch.look(at: .max, panic: nil) == nil)
  }

  @Test func aPanicHasToBeTheLastWordForAWhile() {
    var watch = OwnKernelWatch(now: 0)
    watch.heard(at: 7, isShown: true)
    #expect(watch.nextLook(standsStill: true) == 7 + OwnKernelWatch.panicPatience)
    #expect(watch.look(at: 8, panic: "gave up") == nil)
    #expect(watch.look(at: 7 + OwnKernelWatch.panicPatience, panic: "gave up") == .panicked("gave up"))
  }

  @Test func onlyShortLivesInARowAreInVain() {
    var watch = OwnKernelWatch(now: 0)
    var now: UInt64 = 0
    func live(_ seconds: UInt64) -> OwnKernelWatch.Finding? {
      now += seconds * Self.second
      return watch.restarted(at: now, panic: nil)
    }
    for _ in 1..<OwnKernelWatch.mostShortLives { #expect(live(1) == nil) }
    #expect(live(60) == nil)
    for _ in 1..<OwnKernelWatch.mostShortLives { #expect(live(1) == nil) }
    #expect(live(1) == .restartsInVain(OwnKernelWatch.mostShortLives))
    #expect(watch.restarted(at: now, panic: "why") == .panicked("why"))
  }
}
