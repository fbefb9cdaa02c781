/* Says why there is no camera, where the browser gives none out. */

export default function show({ parentElement }) {
  const words = parentElement.querySelector(".camera-words");
  // Streamlit's own field puts a stand-in in the place of what is missing.
  const there = window.isSecureContext && !!navigator.mediaDevices?.getUserMedia;
  words.dataset.camera = there ? "there" : "none";
  words.hidden = there;
  words.textContent = there ? "" : `The browser gives the camera to pages over https or on localhost alone, and this page came from ${location.origin}. Open the app over https or on its own machine, or take the photograph first and upload it.`;
}
