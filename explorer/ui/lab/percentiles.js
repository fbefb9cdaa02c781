/* How a code's density is worded, for every component that shows it. */

const SPARSE = "Sparse: farther from its nearest encodings than 95 % of the encoded images are";

/* 83.2 -> "83rd percentile". */
function percentileWords(percent) {
  const number = Math.round(percent), rest = number % 100;
  if (number < 1) return "below the 1st percentile";
  if (number > 99) return "above the 99th percentile";
  const ending = rest > 10 && rest < 14 ? "th" : ["th", "st", "nd", "rd"][number % 10] ?? "th";
  return `${number}${ending} percentile`;
}

/* percent: of the encoded images that lie as sparsely or more; null where there are too few. */
function densityWords(percent) {
  return percent === null ? "unknown: too few encoded images" : `${percentileWords(percent)} of the encoded images`;
}
