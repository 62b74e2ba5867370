import Testing

@testable import kvbench

/// Percentiles of a table are those of the values themselves, but for the width of a step.
@Suite struct HistogramTests {
  @Test func smallValuesAreKeptExactly() {
    var histogram = Histogram()
    for value in UInt64(1)...100 { histogram.add(value) }
    #expect(histogram.percentile(0.5) == 50)
    #expect(histogram.percentile(0.99) == 99)
    #expect(histogram.percentile(1) == 100)
    #expect(histogram.maximum == 100)
    #expect(histogram.count == 100)
    #expect(histogram.mean == 50.5)
  }

  @Test func anEmptyTableKnowsNothing() {
    #expect(Histogram().percentile(0.99) == 0)
    #expect(Histogram().mean == 0)
  }

  @Test func noValueIsOffByMoreThanHalfAPercent() {
    var value: UInt64 = 1
    while value < 1 << 62 {
      for offset in [0, value / 3, value - 1] {
        var histogram = Histogram()
        histogram.add(value + offset)
        // A greater one, so that the answer is not the maximum.
        histogram.add(.max)
        let seen = Double(histogram.percentile(0.5))
        let error = abs(seen - Double(value + offset)) / Double(value + offset)
        #expect(error <= 0.005, "\(value + offset) became \(seen)")
      }
      value *= 2
    }
  }

  @Test func percentilesOfManyValuesAreThoseOfTheSortedList() {
    var state: UInt64 = 7
    var histogram = Histogram()
    var values: [UInt64] = []
    for _ in 0..<10_000 {
      state = state &* 6_364_136_223_846_793_005 &+ 1
      let value = state >> (20 + state % 30)
      values.append(value)
      histogram.add(value)
    }
    values.sort()
    for part in [0.001, 0.5, 0.9, 0.99, 0.999, 1] {
      let exact = Double(values[Int((part * 10_000).rounded(.up)) - 1])
      let seen = Double(histogram.percentile(part))
      #expect(abs(seen - exact) <= exact * 0.01 + 1, "at \(part): \(exact), seen \(seen)")
    }
  }

  @Test func theGreatestValueIsExact() {
    var histogram = Histogram()
    histogram.add(123_456_789)
    #expect(histogram.percentile(0.999) == 123_456_789)
  }
}
