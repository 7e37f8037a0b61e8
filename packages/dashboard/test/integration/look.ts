/**
 * Resolves in the page once something is so, looking at each frame; to how long that took, in ms of a page that draws 60
 * frames a second. What keeps a page from drawing does not count.
 */
export function seen(condition: string): string {
  return `new Promise((resolve) => {
    let frames = 0;
    const look = () => ((${condition}) ? resolve(frames * 1000 / 60) : (frames++, requestAnimationFrame(look)));
    look();
  })`;
}

/** The box of a resource; names are data here too. */
export function box(name: string): string {
  return `[...document.querySelectorAll(".box")].find((box) => box.dataset.name === ${JSON.stringify(name)})`;
}
