/** Strip: all layers in a row, with their shapes, their cost and their maps. */
import { element } from "../ui/dom.js";

export const stripView = {
  name: "strip",
  title: "Layers",
  show(container, context) {
    const rows = context.model.layers.map((layer) => element("li", {}, `${layer.key}: ${layer.outputShape.join(" × ")}`));
    container.append(element("h2", {}, "The layers"), element("ol", {}, ...rows));
  },
  hide() {},
};
