// The words at the two ends of a scale: what a sign means, or that there is none.

interface EndWordsProps {
  target: string;
  signed: boolean;
}

export function EndWords({ target, signed }: EndWordsProps) {
  if (!signed) {
    return (
      <div class="xw-legend-words">
        <span>no influence</span>
        <span>strong influence</span>
      </div>
    );
  }
  return (
    <div class="xw-legend-words">
      <span>
        ◂ opposes <bdi>{target}</bdi>
      </span>
      <span>
        supports <bdi>{target}</bdi> ▸
      </span>
    </div>
  );
}
