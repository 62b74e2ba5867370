import Testing

@testable import kvbench

/// An open loop's arrivals do not depend on when anybody looks.
@Suite struct ScheduleTests {
  @Test func arrivalsAreEvenlySpacedFromTheStart() {
    var schedule = Schedule(perSecond: 1000, start: 5_000)
    #expect(schedule.take(by: 4_999) == nil)
    #expect(schedule.take(by: 5_000) == 5_000)
    #expect(schedule.take(by: 5_000) == nil)
    #expect(schedule.next == 1_005_000)
    #expect(schedule.take(by: 1_005_000) == 1_005_000)
  }

  @Test func whoComesLateGetsEveryArrivalWithItsOwnTime() {
    var schedule = Schedule(perSecond: 10, start: 0)
    #expect(schedule.backlog(at: 350_000_000) == 4)
    var moments: [UInt64] = []
    while let moment = schedule.take(by: 350_000_000) { moments.append(moment) }
    #expect(moments == [0, 100_000_000, 200_000_000, 300_000_000])
    #expect(schedule.backlog(at: 350_000_000) == 0)
  }

  @Test func aRateThatDividesNoSecondDoesNotDrift() {
    var schedule = Schedule(perSecond: 3, start: 0)
    while schedule.take(by: 3_600_000_000_000 - 1) != nil {}
    #expect(schedule.taken == 3 * 3600)
  }
}
