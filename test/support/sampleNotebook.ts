/** A notebook as Jupyter writes it: two code cells, one with an image, and one of text at the end. */
export const sampleNotebook = `${JSON.stringify(
  {
    cells: [
      {
        cell_type: "code",
        execution_count: 1,
        id: "load",
        metadata: {},
        outputs: [],
        source: ["import math\n", "x = math.pi"],
      },
      {
        cell_type: "code",
        execution_count: 2,
        id: "plot",
        metadata: { tags: ["figure"] },
        outputs: [{ data: { "image/png": "iVBORw0KGgo=" }, metadata: {}, output_type: "display_data" }],
        source: ['print("é", x)'],
      },
      { cell_type: "markdown", id: "text", metadata: {}, source: ["# Title"] },
    ],
    metadata: { language_info: { name: "python" } },
    nbformat: 4,
    nbformat_minor: 5,
  },
  null,
  1,
)}\n`;
