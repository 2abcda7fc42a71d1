// Scoreboard: methods of explanation against tests, with the maps and curves behind the numbers.

import "../styles/tabs.css";
import "../styles/board.css";
import "../styles/board-parts.css";
import { AgreementTab } from "../board/agreement-tab";
import { Columns } from "../board/columns";
import { CurvesTab } from "../board/curves-tab";
import { BoardFooter } from "../board/footer";
import { Inputs } from "../board/inputs";
import { boardBindings } from "../board/keys";
import { MapsTab } from "../board/maps-tab";
import { PairTab } from "../board/pair-tab";
import { BoardStore } from "../board/store";
import { BoardTable, ColumnNote } from "../board/table";
import { Tabs } from "../board/tabs";
import { boardQuestion, costText } from "../board/words";
import { Frame } from "../components/frame";
import { Notices } from "../components/messages";
import { drawing } from "../lib/drawing";

const PANELS = { maps: MapsTab, pair: PairTab, curves: CurvesTab, agreement: AgreementTab } as const;

function EmptyState({ store }: { store: BoardStore }) {
  return (
    <div class="xw-empty">
      {store.running.value ? (
        <p>The first explanation is on its way…</p>
      ) : (
        <>
          <p>Nothing to show yet. Compare explanations of some inputs:</p>
          <pre class="xw-pre">{'xw.compare(model, images, ("saliency", "integrated_gradients"))'}</pre>
        </>
      )}
    </div>
  );
}

function Scoreboard({ store }: { store: BoardStore }) {
  const tab = store.tab.value;
  const Panel = PANELS[tab];
  return (
    <Frame
      store={store}
      label={boardQuestion(store)}
      question={<p class="xw-question">{boardQuestion(store)}</p>}
      summary={costText(store)}
      bindings={boardBindings}
      focused="the table has"
      note="a click on a heading sorts, on a cell shows its curves, on a map picks its method"
    >
      <Notices notices={store.notices.value} />
      {store.entries.value.length > 0 ? (
        <>
          <BoardTable store={store} />
          <Columns store={store} />
          <ColumnNote store={store} />
          <Tabs store={store} />
          <Inputs store={store} />
          <div
            class="xw-board-panel"
            role="tabpanel"
            id={`${store.uid}-panel`}
            aria-labelledby={`${store.uid}-tab-${tab}`}
          >
            <Panel store={store} />
          </div>
          <BoardFooter store={store} />
        </>
      ) : (
        <EmptyState store={store} />
      )}
    </Frame>
  );
}

export const mount = drawing(BoardStore, Scoreboard);
