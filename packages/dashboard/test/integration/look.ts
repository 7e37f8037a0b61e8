/** Resolves in the page once something is so, looking at each frame. */
export function seen(condition: string): string {
  return `new Promise((resolve) => {
    const look = () => ((${condition}) ? resolve(performance.now()) : requestAnimationFrame(look));
    look();
  })`;
}

/** The box of a resource; names are data here too. */
export function box(name: string): string {
  return `[...document.querySelectorAll(".box")].find((box) => box.dataset.name === ${JSON.stringify(name)})`;
}
